package client

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/berth-dev/berth/host/internal/control/convert"
	controlv1 "github.com/berth-dev/berth/proto/control/v1"
)

// Create makes a session and returns when its agent answers. With a SessionID it may be
// called again when its answer was lost, and gets the same session; without one, a
// caller whose ctx ends leaves nothing behind.
//
// Errors: CodeInvalidArgument, CodeNotFound (template), CodeConflict, CodeUnavailable,
// CodeResourceExhausted, CodeSandboxStartFailed; after each that the host has answered
// nothing is left.
func (c *Client) Create(ctx context.Context, req CreateRequest) (Session, error) {
	return session(ctx, c, "create", c.sessions.CreateSession, &controlv1.CreateSessionRequest{
		Template: req.Template, ChatId: req.ChatID, SessionId: req.SessionID, AgentId: req.AgentID,
		Volume: req.Volume, Ttl: duration(req.TTL), Metadata: req.Metadata,
	})
}

// Ensure answers with the chat's newest creating or running session, once its provider
// has confirmed that it runs, and with its deadline pushed to at least now + TTL; or
// makes a new one. It may be called again when its answer was lost. While the provider is
// away the answer is CodeUnavailable, never a second sandbox.
//
// Errors: those of Create; CodeConflict, with the session, also when the one that is
// there has another template, agent or volume.
func (c *Client) Ensure(ctx context.Context, req CreateRequest) (Session, error) {
	return session(ctx, c, "ensure", c.sessions.EnsureSession, &controlv1.EnsureSessionRequest{
		Template: req.Template, ChatId: req.ChatID, SessionId: req.SessionID, AgentId: req.AgentID,
		Volume: req.Volume, Ttl: duration(req.TTL), Metadata: req.Metadata,
	})
}

// Get answers for living sessions and for terminal records.
// Errors: CodeInvalidArgument, CodeNotFound, CodeUnavailable.
func (c *Client) Get(ctx context.Context, id string) (Session, error) {
	return session(ctx, c, "get", c.sessions.GetSession, &controlv1.GetSessionRequest{SessionId: id})
}

// Extend pushes a session's deadline later, and never shortens. The new deadline is on
// the host's disk when it returns. It may be called again when its answer was lost; By
// needs Seen for that.
//
// Errors: CodeInvalidArgument (over max_ttl or max_lifetime), CodeNotFound,
// CodeConflict (it has ended, is stopping, or has another deadline than was seen),
// CodeUnavailable.
func (c *Client) Extend(ctx context.Context, id string, req ExtendRequest) (Session, error) {
	return session(ctx, c, "extend", c.sessions.ExtendSession, &controlv1.ExtendSessionRequest{
		SessionId: id, By: duration(req.By), Until: instant(req.Until), SeenExpiresAt: instant(req.Seen),
	})
}

// Stop ends what runs in the sandbox and keeps the sandbox until the session's deadline
// or delete. A session that is stopped or has ended is success. Errors: CodeNotFound,
// CodeUnavailable (if the host has answered it, the intent is kept),
// CodeSandboxStopFailed.
func (c *Client) Stop(ctx context.Context, id string) (Session, error) {
	return session(ctx, c, "stop", c.sessions.StopSession, &controlv1.StopSessionRequest{SessionId: id})
}

// Delete removes the session's sandbox by force, in every state, and ends the session. A
// session that has ended is success. Errors: CodeNotFound, CodeUnavailable (if the host
// has answered it, the intent is kept), CodeSandboxStopFailed.
func (c *Client) Delete(ctx context.Context, id string) error {
	_, err := call(ctx, c, "delete", c.sessions.DeleteSession, &controlv1.DeleteSessionRequest{SessionId: id})
	return err
}

// Providers tells how each provider is now, in the order of the host's configuration.
// Errors: CodeUnavailable.
func (c *Client) Providers(ctx context.Context) ([]Provider, error) {
	res, err := call(ctx, c, "providers", c.providers.ListProviders, &controlv1.ListProvidersRequest{})
	if err != nil {
		return nil, err
	}
	list := make([]Provider, len(res.GetProviders()))
	for i, p := range res.GetProviders() {
		list[i] = convert.ProviderFromProto(p)
	}
	return list, nil
}

// duration is empty for zero: none was given.
func duration(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

// instant is nil for the zero time: none was given.
func instant(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
