package client

import (
	"context"
	"iter"

	"github.com/berth-dev/berth/host/internal/control/convert"
	controlv1 "github.com/berth-dev/berth/proto/control/v1"
)

// pageSize is how many sessions List asks for at once.
const pageSize = 200

// List answers all that a filter selects, oldest first. It takes as many calls as there
// are pages; who lives all the while is in it, once. Errors: CodeInvalidArgument,
// CodeUnavailable.
func (c *Client) List(ctx context.Context, f Filter) ([]Session, error) {
	var list []Session
	for s, err := range c.All(ctx, f) {
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	if len(list) <= pageSize {
		return list, nil
	}
	last := make(map[string]int, len(list))
	for i, s := range list {
		last[s.ID] = i
	}
	kept := list[:0]
	for i, s := range list {
		if last[s.ID] == i {
			kept = append(kept, s)
		}
	}
	return kept, nil
}

// All is List for many sessions: it yields them page by page, so that they need not all
// be held at once. A session whose image is being prepared comes first, and may come once
// more when it has got its place in the order. An error comes last, with an empty
// session.
func (c *Client) All(ctx context.Context, f Filter) iter.Seq2[Session, error] {
	return func(yield func(Session, error) bool) {
		m := &controlv1.ListSessionsRequest{
			PageSize: pageSize, ChatId: f.ChatID, AgentId: f.AgentID, Template: f.Template, Status: string(f.Status), All: f.All,
		}
		for {
			res, err := call(ctx, c, "list", c.sessions.ListSessions, m)
			if err != nil {
				yield(Session{}, err)
				return
			}
			for _, s := range res.GetSessions() {
				if !yield(convert.SessionFromProto(s), nil) {
					return
				}
			}
			if m.PageToken = res.GetNextPageToken(); m.PageToken == "" {
				return
			}
		}
	}
}
