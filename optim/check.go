package optim

import (
	"fmt"
	"math"
)

// positive says what is wrong with a setting that must be a positive number.
func positive(name string, x float64) error {
	if x > 0 && !math.IsInf(x, 1) {
		return nil
	}
	return fmt.Errorf("%s is %v, want more than 0", name, x)
}

// notNegative says what is wrong with a setting that must be zero or more.
func notNegative(name string, x float64) error {
	if x >= 0 && !math.IsInf(x, 1) {
		return nil
	}
	return fmt.Errorf("%s is %v, want 0 or more", name, x)
}

// fraction says what is wrong with a setting that must lie in [0,1).
func fraction(name string, x float64) error {
	if x >= 0 && x < 1 {
		return nil
	}
	return fmt.Errorf("%s is %v, want at least 0 and below 1", name, x)
}
