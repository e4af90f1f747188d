// Package sim runs a whole job in virtual time: the LPS and the GPS of package
// roles, the methods that HALoS is compared with, and the clock of the paper's
// experiment (arXiv 2506.04531). Workers really train; only their time and that of
// the network is counted instead of spent.
//
// Time is exact: what happens next is the first of all appointments, and the first
// made of those at the same instant. Rounds are trained by several goroutines, but
// each depends on nothing but the model it starts from and on its worker, and is
// waited for when its time has come: the same settings give the same bits with any
// number of them.
//
// Under Faults workers are those of package roles too, and every process has a clock, a
// disk and a connection, and is killed and started again as its seed says.
//
// Forecast is the clock alone, without learning.
package sim
