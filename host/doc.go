// Package host is Berth's engine for embedding: it gives an agent platform short-lived,
// isolated sandboxes through runtime providers, and guarantees that each is there until
// its deadline and gone after it.
//
// # Embedding
//
//	cfg, diags := config.Load("config.hcl")
//	if err := diags.Err(); err != nil { … }
//	h, err := host.New(cfg, host.Options{Logger: logger})
//	go h.Run(ctx)                        // whoever says go also waits
//	if err := h.WaitReady(ctx); err != nil { … }
//	s, err := h.Create(ctx, host.CreateRequest{Template: "default", ChatID: chat})
//
// The session's Endpoint is where the agent answers. Extend it while the chat goes on;
// delete it when the chat is over, or leave it to its deadline. [Host.Watch] tells of
// every change, and of every end with its reason.
//
// # The life of a host
//
// New takes the lock of the state directory and reads the leases: from then on Get and
// List answer, from memory. Run starts the plugins and keeps the deadlines, until its
// context is done; it then ends the creates in flight, ends the plugins, and lets go of
// the state directory. Sandboxes stay: the next host on the same state directory finds
// them, with the deadlines that were acknowledged.
//
// Several hosts live in one process when each has a state directory, and a registerer or
// a prefix, of its own.
//
// # Errors
//
// Every error of a verb is an [*Error] with a stable [Code]; errors.Is works with the
// codes: errors.Is(err, host.CodeNotFound).
package host
