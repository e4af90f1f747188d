package tensor

import (
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

// value is a wanted element, and the sum of the magnitudes that it is made of: each
// rounding costs roundoff*size at most.
type value struct{ want, size float64 }

// elementwise are the kernels whose results at i depend on the elements at i alone.
var elementwise = []struct {
	name      string
	slices    int // of equal length, the first of which are written
	run       func(k *kernels, s [][]float32)
	naive     func(e []float64) []value // of what is written
	roundings float64                   // 0: the bits of want
	own       bool                      // infinities and NaN do not follow the formula
}{
	{"axpy", 2, func(k *kernels, s [][]float32) { k.axpy(s[0], -0.75, s[1]) }, naiveAxpy(-0.75), 2, false},
	{"axpy 0", 2, func(k *kernels, s [][]float32) { k.axpy(s[0], 0, s[1]) }, naiveAxpy(0), 2, false},
	{"lerp", 2, func(k *kernels, s [][]float32) { k.lerp(s[0], s[1], 0.75, 0.25) },
		func(e []float64) []value { return []value{sumOf(0.75*e[0], 0.25*e[1])} }, 2, false},
	{"sub", 3, func(k *kernels, s [][]float32) { k.sub(s[0], s[1], s[2]) },
		func(e []float64) []value { return []value{sumOf(e[1], -e[2])} }, 0, false},
	{"mul", 2, func(k *kernels, s [][]float32) { k.mul(s[0], s[1]) },
		func(e []float64) []value { return []value{sumOf(e[0] * e[1])} }, 0, false},
	{"scale", 1, func(k *kernels, s [][]float32) { k.scale(s[0], -1.3) },
		func(e []float64) []value { return []value{sumOf(e[0] * float64(float32(-1.3)))} }, 0, false},
	{"triad", 3, func(k *kernels, s [][]float32) { k.triad(s[0], s[1], s[2], -0.75) },
		func(e []float64) []value { return []value{sumOf(e[1], -0.75*e[2])} }, 2, false},
	{"gelu", 3, func(k *kernels, s [][]float32) { k.gelu(s[0], s[1], s[2]) }, naiveGELU, 3e-7 / roundoff, true},
	{"rotate", 4, runRotate, naiveRotate, 2, false},
	{"exp", 2, func(k *kernels, s [][]float32) { k.expSum(s[0], s[1], 0.5, 1.25) }, naiveExp, 2e-7 / roundoff, true},
	{"softmaxGrad", 2, func(k *kernels, s [][]float32) { k.softmaxGrad(s[0], s[1], 0.25, -1.5) },
		func(e []float64) []value {
			return []value{{-1.5 * e[1] * (e[0] - 0.25), 1.5 * math.Abs(e[1]) * (math.Abs(e[0]) + 0.25)}}
		}, 3, false},
	{"adamW", 4, func(k *kernels, s [][]float32) {
		for i, v := range s[2] {
			s[2][i] = float32(math.Abs(float64(v))) // a mean of squares
		}
		k.adamW(s[0], s[3], s[1], s[2], &adamStep)
	}, naiveAdamW, 8, false},
	{"arrive", 3, func(k *kernels, s [][]float32) { k.arrive(s[0], s[1], s[2], 0.5) },
		func(e []float64) []value { return []value{sumOf(e[0], -0.5*e[2]), sumOf(e[1], e[2])} }, 2, false},
	{"glide", 4, func(k *kernels, s [][]float32) { k.glide(s[0], s[3], s[1], s[2], 0.25, 0.5) },
		func(e []float64) []value { return []value{sumOf(e[0], -0.25*e[3], -0.5*e[2]), sumOf(e[1], e[2])} }, 4, false},
	{"renew", 4, func(k *kernels, s [][]float32) { k.renew(s[0], s[1], s[2], s[3], &nesterovStep) }, naiveRenew, 6, false},
}

var (
	adamStep     = AdamWStep{Scale: 0.5, Beta1: 0.75, Rest1: 0.25, Beta2: 0.875, Rest2: 0.125, Rate: 0.0625, Root: 1.5, Eps: 0x1p-20, Keep: 0.96875}
	nesterovStep = NesterovStep{Beta: 0.75, Share: 0.125, OfMomentum: 0.5, OfDelta: 0.0625}
)

func sumOf(terms ...float64) (v value) {
	for i, x := range terms {
		if i == 0 {
			v = value{x, math.Abs(x)} // not 0+x, which loses the sign of -0
			continue
		}
		v.want, v.size = v.want+x, v.size+math.Abs(x)
	}
	return v
}

func naiveAxpy(a float64) func(e []float64) []value {
	return func(e []float64) []value { return []value{sumOf(e[0], a*e[1])} }
}

func naiveGELU(e []float64) []value {
	x := e[2]
	phi := 0.5 * (1 + math.Erf(x/math.Sqrt2))
	size := max(1, math.Abs(x))
	return []value{{x * phi, size}, {phi + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi), size}}
}

func naiveExp(e []float64) []value {
	want := math.Exp(max(-87, 0.5*e[1]-1.25))
	return []value{{want, want * (1 + math.Abs(0.5*e[1]))}}
}

// runRotate joins the halves of x, with a fence.
func runRotate(k *kernels, s [][]float32) {
	n := len(s[0])
	x := append(append(append([]float32{7}, s[0]...), s[1]...), 7)
	k.rotate(x[1:][:2*n], s[2], s[3], -1)
	if x[0] != 7 || x[2*n+1] != 7 {
		panic("rotate wrote outside x")
	}
	copy(s[0], x[1:])
	copy(s[1], x[1+n:])
}

func naiveRotate(e []float64) []value {
	cos, sin := e[2], -e[3]
	return []value{sumOf(e[0]*cos, -e[1]*sin), sumOf(e[1]*cos, e[0]*sin)}
}

func naiveAdamW(e []float64) []value {
	s := adamStep
	x := float64(s.Scale) * e[3]
	m := sumOf(float64(s.Beta1)*e[1], float64(s.Rest1)*x)
	v := sumOf(float64(s.Beta2)*math.Abs(e[2]), float64(s.Rest2)*x*x)
	rate := float64(s.Rate) / (float64(s.Root)*math.Sqrt(v.want) + float64(s.Eps))
	kept := float64(s.Keep) * e[0]
	return []value{{kept - rate*m.want, math.Abs(kept) + rate*(m.size+least/roundoff)}, m, v}
}

func naiveRenew(e []float64) []value {
	s := nesterovStep
	m := sumOf(float64(s.Beta)*e[1], float64(s.Share)*e[2], float64(s.Share)*e[3])
	theta := sumOf(e[0], -float64(s.OfMomentum)*m.want, -float64(s.OfDelta)*e[3])
	theta.size += float64(s.OfMomentum) * m.size
	return []value{theta, m, {}}
}

func TestElementwiseAgreesWithNaive(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		for _, test := range elementwise {
			for _, n := range lengths() {
				for offset := range 4 {
					s := make([][]float32, test.slices)
					checks := make([]func(), test.slices)
					for i := range s {
						s[i], checks[i] = fenced(t, n, (offset+i)%4, uint64(i))
					}
					compare(t, test.name, s, test.run, test.naive, test.roundings)
					for _, check := range checks {
						check()
					}
				}
			}
		}
	})
}

// compare runs a kernel and holds every element against the naive one.
func compare(t *testing.T, name string, s [][]float32, run func(*kernels, [][]float32), naive func([]float64) []value, roundings float64) {
	t.Helper()
	before := make([][]float32, len(s))
	for i := range s {
		before[i] = clone(s[i])
	}
	run(active, s)
	e := make([]float64, len(s))
	for i := range s[0] {
		for j := range s {
			e[j] = float64(before[j][i])
		}
		for j, v := range naive(e) {
			got, want := s[j][i], float32(v.want)
			switch exact := math.Float32bits(got) == math.Float32bits(want); {
			case class(got) != class(want), roundings == 0 && !exact && got == got,
				class(got) == 0 && !exact && !(math.Abs(float64(got)-v.want) <= roundings*(roundoff*v.size+least)):
				t.Fatalf("%s: element %d of %d of slice %d is %.9g, want %.9g, from %v", name, i, len(s[0]), j, got, v.want, e)
			}
		}
	}
}

func TestElementwiseOfSpecialValues(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		for _, test := range elementwise {
			got, same := combinations(test.slices), combinations(test.slices)
			if !test.own {
				compare(t, test.name, got, test.run, test.naive, test.roundings)
				continue
			}
			test.run(active, got)
			test.run(&generic, same)
			for j := range got {
				for i, v := range got[j] {
					if class(v) != class(same[j][i]) {
						t.Errorf("%s: slice %d of element %d is %v, with generic kernels %v", test.name, j, i, v, same[j][i])
					}
				}
			}
		}
	})
}

// Threads split a slice wherever it suits them, so what becomes of an element must
// not depend on whether a loop's body or its tail meets it.
func TestElementwiseBitsDoNotDependOnPlace(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 1))
		for _, test := range elementwise {
			whole, pieces := combinations(test.slices), combinations(test.slices)
			for i := range whole {
				noise := random(3001, uint64(i))
				whole[i], pieces[i] = append(whole[i], noise...), append(pieces[i], noise...)
			}
			test.run(active, whole)
			for from := 0; from < len(whole[0]); {
				to := min(from+rng.IntN(150), len(whole[0]))
				part := make([][]float32, test.slices)
				for i := range part {
					part[i] = pieces[i][from:to]
				}
				test.run(active, part)
				from = to
			}
			for i := range whole {
				sameBits(t, test.name, pieces[i], whole[i])
			}
		}
	})
}

func TestChoose(t *testing.T) {
	sets := available()
	best := sets[len(sets)-1]
	if got, err := choose(""); got != best || err != nil {
		t.Errorf("without a name: %s, %v; want %s", got.name, err, best.name)
	}
	for _, s := range sets {
		if got, err := choose(s.name); got != s || err != nil {
			t.Errorf("%s: got %s, %v", s.name, got.name, err)
		}
	}
	got, err := choose("abacus")
	if err == nil || got != best {
		t.Fatalf("an unknown name: %s, %v", got.name, err)
	}
	for _, s := range sets {
		if !strings.Contains(err.Error(), s.name) {
			t.Errorf("%q does not name %s", err, s.name)
		}
	}
	if os.Getenv("HALOS_KERNEL") == "" && (Kernel() != best.name || KernelError() != nil) {
		t.Errorf("in use is %s (%v), the best is %s", Kernel(), KernelError(), best.name)
	}
}
