package cli

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// peerID is that of a node that does not run.
const peerID = "12D3KooWGRUVh7TxE4N9TzRHHGzwCGxdMJmyhCsvYHTY6kTtSqVR"

func TestBadCommandLines(t *testing.T) {
	empty := t.TempDir()
	short := write(t, "short.txt", []byte("Call me Ishmael."))
	sound := string(tinyJob(t).YAML())
	edited := func(pattern, with string) string {
		return write(t, "job.yaml", []byte(regexp.MustCompile("(?m)"+pattern).ReplaceAllString(sound, with)))
	}
	held := tinyJob(t)
	other := write(t, "other.yaml", []byte(sound))
	good := "/ip4/127.0.0.1/tcp/1/p2p/" + peerID

	for _, c := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"unknown command", []string{"frobnicate"}, 2, []string{`unknown command "frobnicate": there are testnet, init,`}},
		{"slip in a command", []string{"runn"}, 2, []string{`did you mean halos run?`, `"halos --help"`}},
		{"slip in a command to explain", []string{"help", "tesnet"}, 2, []string{"did you mean halos testnet?"}},
		{"flag before the command", []string{"--region", "eu", "join"}, 2, []string{"unknown flag --region"}},

		{"unknown flag", []string{"testnet", "--colour"}, 2, []string{"unknown flag --colour", `"halos testnet --help"`}},
		{"slip in a flag", []string{"testnet", "--regoins", "2"}, 2, []string{"unknown flag --regoins: did you mean --regions?"}},
		{"flag without value", []string{"testnet", "--regions"}, 2, []string{"flag --regions needs a value"}},
		{"word for a number", []string{"testnet", "--regions", "two"}, 2, []string{`flag --regions: "two" is not a whole number`}},
		{"negative seed", []string{"testnet", "--seed=-1"}, 2, []string{`flag --seed: "-1" is not a whole number of 0 or more`}},
		{"time without unit", []string{"testnet", "--duration", "60"}, 2, []string{`flag --duration: "60" is not a time with its unit, such as 60s`}},
		{"value for a switch", []string{"testnet", "--json=perhaps"}, 2, []string{`flag --json: "perhaps" is not true or false`}},
		{"no region", []string{"testnet", "--regions", "0"}, 2, []string{"regions", "1 to 200"}},
		{"no worker", []string{"testnet", "--workers", "0"}, 2, []string{"workers"}},
		{"negative time", []string{"testnet", "--duration", "-1s"}, 2, []string{"duration"}},
		{"rtt without unit", []string{"testnet", "--rtt", "80"}, 2, []string{`rtt "80"`, "such as 80ms"}},
		{"rate", []string{"testnet", "--rate", "fast"}, 2, []string{`rate "fast"`, "such as 100mbit"}},
		{"link of no region", []string{"testnet", "--link", "eu-su=50mbit/120ms"}, 2, []string{`link of "eu-su": want two different regions`, "there are eu, us, did you mean eu-us?"}},
		{"link of a region that is left out", []string{"testnet", "chaos", "--regions", "2", "--link", "eu-ap=50mbit/120ms"}, 2, []string{"there are eu, us"}},
		{"link without a time", []string{"testnet", "--link", "eu-us=50mbit"}, 2, []string{"want RATE/RTT[/LOSS[/QUEUE]]"}},
		{"link twice", []string{"testnet", "--link", "eu-us=50mbit/1ms", "--link", "us-eu=50mbit/2ms"}, 2, []string{"link eu-us is given twice"}},
		{"loss without its sign", []string{"testnet", "--link", "eu-us=50mbit/120ms/0.01"}, 2, []string{`loss "0.01": want a percentage`}},
		{"queue that nothing waits in", []string{"testnet", "--link", "eu-us=50mbit/120ms/1%/1MiB"}, 2, []string{"with --netns only: add it, or leave the queue out"}},
		{"namespaces for too many", []string{"testnet", "--netns", "--regions", "33"}, 2, []string{"regions 33: at most 32 with --netns"}},
		{"preset", []string{"testnet", "--preset", "tny"}, 2, []string{`unknown preset "tny": did you mean tiny? (there are tiny, small, pythia-70m)`}},
		{"setting without value", []string{"testnet", "--set", "K"}, 2, []string{"want KEY=VALUE"}},
		{"several settings at once", []string{"init", "--set", "K=2,H=3"}, 2, []string{`K: "2,H=3", want a whole number`}},
		{"unknown setting", []string{"testnet", "--set", "warmup=3"}, 2, []string{`unknown key "warmup": did you mean optimizer.warmup?`}},
		{"chaos for no number of minutes", []string{"testnet", "chaos", "--minutes", "NaN"}, 2, []string{"minutes NaN"}},
		{"chaos too short for its faults", []string{"testnet", "chaos", "--minutes", "0.1", "--pause", "0s", "--cut", "0s", "--kill", "7s"}, 2, []string{"kill 7s", "give it more minutes"}},
		{"chaos with an outage that outlasts it", []string{"testnet", "chaos", "--outage", "2m"}, 2, []string{"outage 2m0s"}},
		{"chaos of another workload", []string{"testnet", "chaos", "--workload", "count"}, 2, []string{`workload "count": there are train and ledger`}},
		{"chaos by the ledger with settings", []string{"testnet", "chaos", "--workload", "ledger", "--set", "K=2"}, 2, []string{"leave out --preset and --set"}},
		{"chaos with an operand", []string{"testnet", "chaos", "now"}, 2, []string{"now"}},
		{"unsound setting", []string{"testnet", "--set", "K=0", "--set", "alpha=2"}, 2, []string{"K: 0", "alpha: 2"}},
		{"value for no flag", []string{"testnet", "60s"}, 2, []string{`unexpected "60s": halos testnet takes flags only`}},
		{"manifest and settings", []string{"testnet", "--job", other, "--set", "K=2"}, 2, []string{"--job takes all settings from its file"}},
		{"directory in use", []string{"testnet", "--dir", filepath.Dir(short)}, 1, []string{"is not empty"}},
		{"short text", []string{"testnet", "--data", short}, 2, []string{"corpus smaller than one batch", "longer text"}},

		{"init with a preset's name", []string{"init", "small"}, 2, []string{`unexpected "small": did you mean halos init --preset small?`}},
		{"init preset", []string{"init", "--preset", "llama"}, 2, []string{`unknown preset "llama" (there are`}},
		{"init with a missing text", []string{"init", "--data", "no/such/file"}, 2, []string{"no/such/file", "no such file"}},
		{"init with a directory", []string{"init", "--data", empty}, 2, []string{"not a regular file"}},

		{"run with a file's name", []string{"run", "job.yaml"}, 2, []string{`unexpected "job.yaml": did you mean halos run --job job.yaml?`}},
		{"no such manifest", []string{"run", "--job", "no/such.yaml"}, 2, []string{"no/such.yaml", "no such file"}},
		{"slip in a manifest", []string{"run", "--job", edited(`^batch: .*`, "bathc: 4")}, 2, []string{"job.yaml: line 14: unknown key \"bathc\": did you mean batch?"}},
		{"key missing in a manifest", []string{"run", "--job", edited(`^batch: .*`, "")}, 2, []string{"missing keys: batch"}},
		{"unsound manifest", []string{"run", "--job", edited(`^batch: .*`, "batch: -4")}, 2, []string{"batch: -4"}},
		{"manifest of another version", []string{"run", "--job", edited(`^format: .*`, "format: 7")}, 4, []string{"another format: 7, this program knows 3"}},
		{"manifest and preset", []string{"run", "--job", other, "--preset", "tiny"}, 2, []string{"--job takes all settings from its file"}},
		{"directory of another job", []string{"run", "--job", other, "--dir", dirOf(t, held)}, 4, []string{held.ID().String(), "not to ", "give another --dir"}},
		{"preset where a job is", []string{"run", "--preset", "small", "--dir", dirOf(t, held)}, 4, []string{held.ID().String(), "leave out --preset and --set to continue"}},
		{"setting where a job is", []string{"run", "--set", "K=2", "--dir", dirOf(t, held)}, 4, []string{held.ID().String(), "leave out --preset and --set to continue"}},
		{"damaged job of a directory", []string{"run", "--dir", filepath.Dir(write(t, heldFile, held.Canonical()[:99]))}, 4, []string{heldFile, "no JSON object"}},
		{"role", []string{"run", "--role", "worker,lsp"}, 2, []string{`role "lsp": there are auto,`, "did you mean lps?"}},
		{"region", []string{"run", "--region", "US East"}, 2, []string{`region name "US East": only a-z`}},
		{"log level", []string{"run", "--log", "loud"}, 2, []string{`log level "loud": there are debug,`}},
		{"threads", []string{"run", "--threads", "-1"}, 2, []string{"flag --threads: -1 is less than 0"}},
		{"far too many threads", []string{"run", "--threads", "100000"}, 2, []string{"flag --threads: 100000 is more than 1024"}},
		{"text of another name", []string{"run", "--data", "whale=" + short, "--dir", dirOf(t, held)}, 2, []string{`"whale"`, `"austen"`}},
		{"link without listening", []string{"run", "--link-default", "100mbit/80ms"}, 2, []string{"needs one --listen"}},

		{"join without anything", []string{"join"}, 2, []string{"flag --region is missing"}},
		{"join without address", []string{"join", "--region", "eu", "--dir", empty}, 2, []string{"no address: give the one that halos run printed", "--job ID"}},
		{"join without region", []string{"join", "--dir", empty, good}, 2, []string{"flag --region is missing"}},
		{"flag after the address", []string{"join", good, "--region", "eu"}, 2, []string{"flags must come before", "halos join --region eu " + good}},
		{"flags around the address", []string{"join", "--no-mdns", good, "--region=eu", "--dir", "a b"}, 2, []string{"halos join --no-mdns --region=eu --dir 'a b' " + good}},
		{"address without a peer", []string{"join", "--region", "eu", "/ip4/127.0.0.1/tcp/4001"}, 2, []string{"has no /p2p/ part", "/p2p/12D3KooW..."}},
		{"host and port", []string{"join", "--region", "eu", "example.org:4001"}, 2, []string{`"example.org:4001" is no multiaddr`}},
		{"short job id", []string{"join", "--region", "eu", "--job", "abc"}, 2, []string{`--job "abc": want the id of a job`}},
		{"no job id", []string{"join", "--region", "eu", "--job", "zzzzzzzzzzzzzzzz"}, 2, []string{"want the id of a job"}},
		{"join where another job is", []string{"join", "--region", "eu", "--job", "0123456789abcdef", "--dir", dirOf(t, held)}, 4, []string{held.ID().String(), "not to 0123456789abcdef"}},

		{"status of nothing", []string{"status", "--dir", empty}, 3, []string{"no node is running"}},
		{"status with a directory", []string{"status", "halos-us"}, 2, []string{"did you mean halos status --dir halos-us?"}},

		{"generate from nothing", []string{"generate"}, 2, []string{"flag --checkpoint is missing"}},
		{"generate with a directory", []string{"generate", "demo", "-p", "It"}, 2, []string{"flags must come before \"demo\": halos generate -p It demo"}},
		{"temperature", []string{"generate", "--checkpoint", empty, "--temperature", "-1"}, 2, []string{"temperature is -1"}},
		{"top-k", []string{"generate", "--checkpoint", empty, "--top-k", "-1"}, 2, []string{"top-k is -1"}},
		{"count", []string{"generate", "--checkpoint", empty, "-n", "-1"}, 2, []string{"flag --bytes: -1 is less than 0"}},
		{"no such checkpoint", []string{"generate", "--checkpoint", "no/such"}, 1, []string{"no/such"}},
		{"a file for a checkpoint", []string{"eval", "--checkpoint", short}, 1, []string{"is a file: name the folder"}},
		{"no checkpoint inside", []string{"eval", "--checkpoint", empty}, 1, []string{"no config.json with model.safetensors"}},
		{"threads to generate", []string{"generate", "--checkpoint", empty, "--threads", "-1"}, 2, []string{"flag --threads: -1 is less than 0"}},
		{"threads to evaluate", []string{"eval", "--checkpoint", empty, "--threads", "-1"}, 2, []string{"flag --threads: -1 is less than 0"}},
		{"windows", []string{"eval", "--checkpoint", empty, "--windows", "-1"}, 2, []string{"flag --windows: -1 is less than 0"}},

		{"version of something", []string{"version", "1"}, 2, []string{`unexpected "1"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			refused(t, run(t, c.args...), c.code, c.want...)
			if left, _ := os.ReadDir("."); len(left) > 0 {
				t.Errorf("it made %v", left)
			}
		})
	}
}

func TestBadEnvironment(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"HALOS_THREADS", "many", `could not parse "many" as int value from environment variable "HALOS_THREADS"`},
		{"HALOS_ROLE", "boss", `role "boss"`},
		{"HALOS_REGION", "?", `region name "?"`},
		{"HALOS_LOG", "loud", `log level "loud"`},
		{"HALOS_NO_MDNS", "perhaps", "HALOS_NO_MDNS"},
		{"HALOS_RECOMPUTE", "perhaps", "HALOS_RECOMPUTE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			t.Setenv(c.name, c.value)
			refused(t, run(t, "run"), codeUsage, c.want)
		})
	}
}

// The kernels are chosen when the program starts, so it is started again.
func TestBadKernel(t *testing.T) {
	const variable, bad = "HALOS_KERNEL", "abacus"
	if os.Getenv(variable) != bad {
		again := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBadKernel$")
		again.Env = append(os.Environ(), variable+"="+bad)
		if out, err := again.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	for _, command := range []string{"testnet", "init", "run", "join", "status", "generate", "eval", "version"} {
		refused(t, run(t, command), codeUsage, `HALOS_KERNEL is "abacus"; this machine runs generic`, `"halos --help"`)
	}
	if o := run(t, "--help"); o.code != codeOK || !strings.Contains(o.out, variable) {
		t.Errorf("halos --help: %+v", o)
	}
}

// What only a node can find out reaches the user with its exit code.
func TestFaultsOfTheNode(t *testing.T) {
	busy, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	port := strings.TrimPrefix(busy.Addr().String(), "127.0.0.1:")
	closed, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "/ip4/127.0.0.1/tcp/" + strings.TrimPrefix(closed.Addr().String(), "127.0.0.1:") + "/p2p/" + peerID
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	text := write(t, "other.txt", make([]byte, builtin.Bytes))

	local := []string{"--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0"}
	for _, c := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"nobody there", append([]string{"join", "--region", "eu"}, append(local, nobody)...), codeUnreachable, []string{peerID}},
		{"another protocol there", append([]string{"join", "--region", "eu"}, append(local, "/ip4/127.0.0.1/tcp/"+port+"/p2p/"+peerID)...), codeUnreachable, []string{peerID}},
		{"bad peer id", append([]string{"join", "--region", "eu"}, append(local, "/ip4/127.0.0.1/tcp/1/p2p/nonsense")...), codeUsage, []string{"nonsense"}},
		{"port in use", []string{"run", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/" + port}, codeFailed, []string{port}},
		{"bad listen address", []string{"run", "--no-mdns", "--listen", "localhost:4001"}, codeUsage, []string{"localhost:4001"}},
		{"text of another hash", append([]string{"run", "--job", write(t, "job.yaml", tinyJob(t).YAML()), "--data", text}, local...), codeUsage, []string{"SHA-256", "same file"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			if c.name == "another protocol there" {
				go func() { // answers and hangs up, as something else would
					if conn, err := busy.Accept(); err == nil {
						conn.Close()
					}
				}()
			}
			refused(t, run(t, c.args...), c.code, c.want...)
		})
	}
}

func TestQuoted(t *testing.T) {
	for _, c := range []struct{ arg, want string }{
		{"/ip4/1.2.3.4/tcp/1", "/ip4/1.2.3.4/tcp/1"},
		{"--set=K=1", "--set=K=1"},
		{"", "''"},
		{"It is", "'It is'"},
		{"it's", `'it'\''s'`},
		{"$HOME", "'$HOME'"},
	} {
		if got := quoted(c.arg); got != c.want {
			t.Errorf("%q: %s, want %s", c.arg, got, c.want)
		}
	}
}
