package node

import (
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"

	"halos/data"
	"halos/roles"
	"halos/wire"
)

// What roles say about samples arrives as it was said.
func TestMessagesKeepTheirFields(t *testing.T) {
	ask := roles.Ask{Client: "eu", Samples: 640, Speed: 1.5, Rate: 12.25, Stock: 1 << 40}
	if got := askOf("eu", carried(t, askMessage(ask), new(wire.Ask))); got != ask {
		t.Errorf("got %+v, want %+v", got, ask)
	}
	grant := roles.Grant{
		Client: "eu", Tasks: []data.Task{{Samples: data.Interval{Start: 4, End: 8}, Steps: 2, First: 3}},
		Ranges: data.Intervals{{Start: 0, End: 64}, {Start: 128, End: 1 << 40}}, Committed: 7, Exhausted: true, Fastest: 2.5, Ahead: 1 << 41,
	}
	got, err := fromServer("eu", carried(t, toClientMessage(grant), new(wire.ToClient)))
	if err != nil || !reflect.DeepEqual(got, roles.Event(grant)) {
		t.Errorf("got %+v, %v, want %+v", got, err, grant)
	}
}

// carried is m as it arrives.
func carried[M proto.Message](t *testing.T, m, empty M) M {
	t.Helper()
	b, err := proto.Marshal(m)
	if err == nil {
		err = proto.Unmarshal(b, empty)
	}
	if err != nil {
		t.Fatal(err)
	}
	return empty
}
