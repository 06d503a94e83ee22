// Package proto_test proves proto/README.md: a host and a plugin made of what that page
// says and of nothing of this module. They know TLS, HTTP/2 and the wire format of protobuf,
// as an author in another language does.
package proto_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// certify makes a certificate for one connection.
func certify(curve elliptic.Curve) (der []byte, key *ecdsa.PrivateKey, err error) {
	if key, err = ecdsa.GenerateKey(curve, rand.Reader); err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		IsCA:        true, BasicConstraintsValid: true,
	}
	der, err = x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return der, key, err
}

// trust is a pool with one certificate in it.
func trust(der []byte) (*x509.CertPool, error) {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(c)
	return pool, nil
}

func toPEM(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// handshake is the one line of a plugin.
type handshake struct {
	core, protocol, network, address, kind string
	certificate                            []byte
}

func parseHandshake(line string) (h handshake, err error) {
	parts := strings.Split(strings.TrimSpace(line), "|")
	if len(parts) < 6 {
		return h, fmt.Errorf("%q has %d fields", line, len(parts))
	}
	h = handshake{core: parts[0], protocol: parts[1], network: parts[2], address: parts[3], kind: parts[4]}
	h.certificate, err = base64.RawStdEncoding.DecodeString(parts[5])
	return h, err
}

// rawClient calls a plugin over HTTP/2.
type rawClient struct{ http http.Client }

func dialRaw(h handshake, der []byte, key *ecdsa.PrivateKey) (*rawClient, error) {
	pool, err := trust(h.certificate)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{ServerName: "localhost", RootCAs: pool, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12,
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	return &rawClient{http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true,
		DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&tls.Dialer{Config: config}).DialContext(ctx, "unix", h.address)
		}}}}, nil
}

// statusError is a failed call.
type statusError struct {
	code    string
	details []byte // a google.rpc.Status
}

func (e *statusError) Error() string { return "grpc status " + e.code }

// call makes one call and returns the messages of its answer.
func (c *rawClient) call(ctx context.Context, method string, message []byte) (answers [][]byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://localhost/"+method, bytes.NewReader(frame(message)))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/grpc")
	req.Header.Set("TE", "trailers")
	r, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	for {
		m, err := unframe(r.Body)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		answers = append(answers, m)
	}
	trailer := r.Trailer
	if trailer.Get("Grpc-Status") == "" {
		trailer = r.Header // an answer without messages may have them there
	}
	if code := trailer.Get("Grpc-Status"); code != "0" {
		details, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(trailer.Get("Grpc-Status-Details-Bin"), "="))
		return answers, errors.Join(&statusError{code, details}, err)
	}
	return answers, nil
}

// frame puts gRPC's five bytes before a message.
func frame(message []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
}

func unframe(r io.Reader) ([]byte, error) {
	head := make([]byte, 5)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	message := make([]byte, binary.BigEndian.Uint32(head[1:]))
	_, err := io.ReadFull(r, message)
	return message, err
}

// The wire format of protobuf, as far as it is needed here.

func text(number protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(nil, number, protowire.BytesType), s)
}

func nested(number protowire.Number, parts ...[]byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), bytes.Join(parts, nil))
}

func whole(number protowire.Number, n uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, number, protowire.VarintType), n)
}

// field is the value of a field: a number, or bytes.
type field struct {
	n uint64
	b []byte
}

// fields are those of a message, by number; of a repeated one the last.
func fields(m []byte) map[protowire.Number]field {
	all := map[protowire.Number]field{}
	for len(m) > 0 {
		number, kind, n := protowire.ConsumeTag(m)
		if n < 0 {
			return nil
		}
		m = m[n:]
		var f field
		switch kind {
		case protowire.VarintType:
			f.n, n = protowire.ConsumeVarint(m)
		case protowire.BytesType:
			f.b, n = protowire.ConsumeBytes(m)
		default:
			n = protowire.ConsumeFieldValue(number, kind, m)
		}
		if n < 0 {
			return nil
		}
		m = m[n:]
		all[number] = f
	}
	return all
}
