package roles

import (
	"testing"
)

func TestScenarioGPS(t *testing.T) {
	four := func() actor { return NewGPS(scriptCfg, gpsTerm, []float32{100}, 4, 8) }
	play(t, []script{
		{"a push is answered with the model", newGPS(scriptCfg, 8, "eu"), []line{
			{Follow{Client: "eu", Contains: 1}, ""},
			{eu1, "applied(eu:1,1) marks(eu,1/0) model(eu,7.1,c1,98)"},
		}},
		{"samples go to the longest waiting, less near the end", four, []line{
			{hi("eu", 1, 1, 1), "welcome(eu,s1,0/0) snapshot(1)"},
			{hi("us", 1, 1, 1), "welcome(us,s1,0/0)"},
			{Ask{Client: "eu", Samples: 2}, "grant(eu,[0,2))"},
			{Ask{Client: "eu", Samples: 2}, "grant(eu,[2,4))"},
			{Ask{Client: "us", Samples: 2}, "grant(us,exhausted)"},
			{Ask{Client: "eu", Samples: 2}, "grant(eu,exhausted)"},
			{Tick{}, ""},
			{Return{"us", span(0, 4)}, ""},
			{Return{"eu", span(2, 4)}, "grant(us,[2,4))"},
		}},
		{"a grant is at most a share of what is free", newGPS(scriptCfg, 8, "eu", "us"), []line{
			{Ask{Client: "eu", Samples: 1 << 62}, "grant(eu,[128,312)) snapshot(1)"}, // an eighth of 1472
			{Ask{Client: "us", Samples: 8}, "grant(us,[312,320))"},
			{Ask{Client: "us", Samples: 0}, ""},
			{Ask{Client: "apac", Samples: 8}, ""},
		}},
		{"a gone region's samples are reclaimed after 60 s, when nothing else is free", four, []line{
			{hi("eu", 1, 1, 1), "welcome(eu,s1,0/0) snapshot(1)"},
			{done(1), ""},
			{Ask{Client: "eu", Samples: 2}, "grant(eu,[0,2)) snapshot(2)"},
			{ClientGone{"eu", "eu"}, ""},
			{ticks(300), ""},
			{hi("us", 1, 1, 1), "welcome(us,s1,0/0)"},
			{Ask{Client: "us", Samples: 2}, "grant(us,[2,4))"},
			{Ask{Client: "us", Samples: 2}, "grant(us,exhausted)"},
			{Tick{}, "grant(us,[0,2))"},
			{hi("eu", 1, 2, 1).holding(span(0, 2)), "welcome(eu,s1,0/0)"},
			{Delta{Name: Name{"eu", 1, 1}, Steps: 1, Samples: span(0, 2), Values: []float32{1}}, "refused(eu:1) marks(eu,1/0,refused 1)"},
		}},
		{"those of a region that has left, at once", four, []line{
			{hi("eu", 1, 1, 1), "welcome(eu,s1,0/0) snapshot(1)"},
			{Ask{Client: "eu", Samples: 2}, "grant(eu,[0,2))"},
			{hi("us", 1, 1, 1), "welcome(us,s1,0/0)"},
			{Ask{Client: "us", Samples: 2}, "grant(us,[2,4))"},
			{Ask{Client: "us", Samples: 2}, "grant(us,exhausted)"},
			{Leaving{"eu"}, ""},
			{Tick{}, ""},
			{ClientGone{"eu", "eu"}, ""},
			{Tick{}, "grant(us,[0,2))"},
		}},
		{"the end reaches everybody", four, []line{
			{hi("apac", 1, 1, 1), "welcome(apac,s1,0/0) snapshot(1)"},
			{hi("eu", 1, 1, 1), "welcome(eu,s1,0/0)"},
			{hi("us", 1, 1, 1), "welcome(us,s1,0/0)"},
			{Ask{Client: "eu", Samples: 2}, "grant(eu,[0,2))"},
			{Ask{Client: "eu", Samples: 2}, "grant(eu,[2,4))"},
			{done(1), "snapshot(2)"},
			{done(2), ""},
			{ClientGone{"apac", "apac"}, ""},
			{eu1, "applied(eu:1,1) marks(eu,1/0) snapshot(3)"},
			{done(3), "marks(eu,1/1) ended(eu) ended(us)"},
			{hi("apac", 1, 1, 1), "reject(apac,job ended)"},
			{Leaving{"eu"}, ""},
			{Leaving{"us"}, ""},
			{ClientGone{"eu", "eu"}, ""},
			{ClientGone{"us", "us"}, ""},
			{ticks(farewellTicks - 1), ""},
			{Tick{}, "finished(ended)"},
		}},
		{"a region that left and came back is waited for", four, []line{
			{hi("eu", 1, 1, 1), "welcome(eu,s1,0/0) snapshot(1)"},
			{Ask{Client: "eu", Samples: 2}, "grant(eu,[0,2))"},
			{Ask{Client: "eu", Samples: 2}, "grant(eu,[2,4))"},
			{done(1), "snapshot(2)"},
			{done(2), ""},
			{eu1, "applied(eu:1,1) marks(eu,1/0) snapshot(3)"},
			{Leaving{"eu"}, ""},
			{ClientGone{"eu", "eu"}, ""},
			{hi("us", 1, 1, 1), "welcome(us,s1,0/0)"},
			{done(3), "snapshot(4)"},
			{done(4), "ended(us)"},
			{hi("eu", 1, 2, 2), "reject(eu,job ended)"},
			{Leaving{"us"}, ""},
			{ClientGone{"us", "us"}, ""},
			{ticks(farewellTicks - 1), ""},
			{Tick{}, "finished(ended)"},
		}},
		{"no end before it is durable", four, []line{
			{hi("eu", 1, 1, 1), "welcome(eu,s1,0/0) snapshot(1)"},
			{Ask{Client: "eu", Samples: 2}, "grant(eu,[0,2))"},
			{Ask{Client: "eu", Samples: 2}, "grant(eu,[2,4))"},
			{done(1), "snapshot(2)"}, // that knows of the grants
			{done(2), ""},
			{eu1, "applied(eu:1,1) marks(eu,1/0) snapshot(3)"},
			{failed(3), ""},
			{ticks(19), ""},
			{Tick{}, "snapshot(4)"},
			{done(4), "marks(eu,1/1) ended(eu)"},
			{Leaving{"eu"}, ""},
			{ClientGone{"eu", "eu"}, "finished(ended)"},
		}},
		{"drain", newGPS(scriptCfg, 8, "eu"), []line{
			{eu1, "applied(eu:1,1) marks(eu,1/0)"},
			{Drain{}, "snapshot(1)"},
			{eu2, ""},
			{done(1), "marks(eu,1/1) finished"},
			{hi("eu", 1, 2, 2), ""},
		}},
	})
}
