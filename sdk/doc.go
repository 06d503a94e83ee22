// Package sdk is all that a provider's main needs. The contract is package
// [github.com/berth-dev/berth/sdk/provider]; this package makes a plugin of an
// implementation and serves it. README.md in this folder is the tutorial, and
// examples/provider a whole provider to copy.
//
//	type Config struct {
//		Root string `berth:"root,required" doc:"Where sandboxes live."`
//	}
//
//	type Sandbox struct {
//		Nice int64 `berth:"nice,optional" default:"10" min:"0" max:"19" doc:"Scheduling priority."`
//	}
//
//	func main() {
//		sdk.Serve(sdk.Define(sdk.Definition[Config, Sandbox]{
//			Name:    "process",
//			Version: "1.0.0",
//			Open: func(ctx context.Context, env sdk.Env, c Config) (provider.Provider, error) {
//				return open(env, c)
//			},
//		}))
//	}
//
// # Settings
//
// Struct tags become the schemas by which the host reads and checks the operator's
// settings; see [SchemaOf]. What arrives in Open and Validate, and in Spec.Config for
// [Decode], was checked and is complete: defaults are filled in. What the tags can't say,
// Validate judges, and the operator sees file, line and column.
//
// # A life
//
// A host starts the process, asks who it is and which settings it has, validates, and calls
// Open, once. From then on calls come, any number at a time. A provider learns of its end by
// its method Close() error, if it has one: after the calls in flight are answered and the
// goroutines that it began by [Env.Go] have ended. It may be killed at any other moment, so
// it holds no state that matters: what must be found again is at the backend.
//
// # What Serve does
//
// The handshake and its certificates; the lifeline that ends the process with its host;
// signals, SIGPIPE among them; limits on messages; spans, when OTEL_* variables ask for
// them. A slog record reaches the host's log with its level and, inside a call, with the id
// of its trace. A panic in a call fails that call with Internal, and one in a goroutine of
// [Env.Go] ends the process; either way the stack is in the host's log. What a provider can
// do beyond the core verbs follows from the interfaces that it has.
//
// # By hand
//
// A person who runs the binary gets an explanation. describe tells name, version, protocol,
// capabilities and settings; validate checks settings without a host; [Serve] takes more
// verbs.
//
// # What else is here
//
// Package [github.com/berth-dev/berth/sdk/records] is for a backend whose sandboxes bear no
// labels, [github.com/berth-dev/berth/sdk/detached] for sandboxes that are processes, and
// [github.com/berth-dev/berth/sdk/schemadoc] writes settings for people.
package sdk
