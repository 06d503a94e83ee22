// Package wire carries the contract of package provider over gRPC: a [Client] on the
// host's side, which is a provider.Plugin again, and [RegisterServer] on the plugin's.
// It alone knows the messages of proto/provider/v1.
//
// Each theme of the contract has a file with its conversions both ways: info, schema,
// spec, sandbox, results, abilities, errors. A test walks every field of the contract and
// of the messages through them.
package wire
