// Package sdk is all that a provider's main needs. The contract is package
// [github.com/berth-dev/berth/sdk/provider]; this package makes a plugin of an
// implementation and serves it.
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
// Struct tags become the schemas by which the host reads and checks the operator's
// settings; see [SchemaOf]. What the provider can do beyond the core verbs follows from
// the interfaces that it has. Serve does the rest: handshake and certificates, the
// lifeline that ends the process with its host, signals, panics, limits, logging to the
// host, and spans.
package sdk
