package control

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/berth-dev/berth/host/internal/api"
)

// How many sessions a page has.
const (
	defaultPage = 100
	maxPage     = 1000
)

// pageOf reads which page of a list is wanted.
func pageOf(f api.Filter, size int32, token string) (api.Page, error) {
	page := api.Page{Size: int(size)}
	switch {
	case size < 0 || size > maxPage:
		return page, fmt.Errorf("page_size: %d is not from 0 to %d; 0 means %d", size, maxPage, defaultPage)
	case size == 0:
		page.Size = defaultPage
	}
	if token == "" {
		return page, nil
	}
	var err error
	page.After, err = cursorOf(f, token)
	return page, err
}

// A page token is base64url of: when its session was created, in microseconds (8 bytes),
// a checksum (8 bytes), the session's id. The checksum covers the filters too, so that a
// token of another list is refused.
const tokenHead = 16

func pageToken(f api.Filter, c api.Cursor) string {
	b := make([]byte, tokenHead, tokenHead+len(c.ID))
	binary.BigEndian.PutUint64(b, uint64(c.CreatedAt.UnixMicro()))
	b = append(b, c.ID...)
	copy(b[8:tokenHead], checksum(f, b))
	return base64.RawURLEncoding.EncodeToString(b)
}

func cursorOf(f api.Filter, token string) (api.Cursor, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) <= tokenHead || !bytes.Equal(b[8:tokenHead], checksum(f, b)) {
		return api.Cursor{}, errors.New("page_token: is not of this list; give next_page_token of the page before, with the same filters")
	}
	at := time.UnixMicro(int64(binary.BigEndian.Uint64(b))).UTC()
	return api.Cursor{CreatedAt: at, ID: string(b[tokenHead:])}, nil
}

// checksum covers all of a token but itself, and the filters.
func checksum(f api.Filter, token []byte) []byte {
	text, err := json.Marshal(f)
	if err != nil {
		panic(err) // strings and a bool always marshal
	}
	h := sha256.New()
	h.Write(token[:8])
	h.Write(token[tokenHead:])
	h.Write(text)
	return h.Sum(nil)[:tokenHead-8]
}
