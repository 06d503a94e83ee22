package dockertest

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
)

// ImportImage makes an image that holds one static binary, as /agent, and empty
// directories to mount on, and returns its id. Its command is the binary; user may be
// "". The daemon gets it as a tar: nothing is pulled or built.
func ImportImage(ctx context.Context, api *client.Client, name, agent, user string) (id string, err error) {
	changes := []string{`CMD ["/agent"]`, "EXPOSE 8000", "WORKDIR /workspace", "LABEL " + Label + "=true"}
	if user != "" {
		changes = append(changes, "USER "+user)
	}
	reader, writer := io.Pipe()
	written := make(chan error, 1)
	go func() {
		err := writeRoot(writer, agent)
		writer.CloseWithError(err)
		written <- err
	}()
	answer, err := api.ImageImport(ctx, image.ImportSource{Source: reader, SourceName: "-"}, name, image.ImportOptions{Changes: changes})
	reader.Close() // lets the writer end where the daemon has not read it all
	if werr := <-written; werr != nil && !errors.Is(werr, io.ErrClosedPipe) {
		if err == nil {
			answer.Close()
		}
		return "", werr
	}
	if err != nil {
		return "", err
	}
	defer answer.Close()
	return readID(answer)
}

// readID reads the import's stream, whose last status is the image's id.
func readID(stream io.Reader) (id string, err error) {
	for decoder := json.NewDecoder(stream); ; {
		var line struct{ Status, Error string }
		switch err := decoder.Decode(&line); {
		case errors.Is(err, io.EOF) && id == "":
			return "", errors.New("the daemon did not tell the image's id")
		case errors.Is(err, io.EOF):
			return id, nil
		case err != nil:
			return "", err
		case line.Error != "":
			return "", errors.New(line.Error)
		}
		id = line.Status
	}
}

// writeRoot writes the image's file system as a tar.
func writeRoot(w io.Writer, agent string) error {
	f, err := os.Open(agent)
	if err != nil {
		return fmt.Errorf("the agent's binary: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	out := tar.NewWriter(w)
	for _, dir := range []string{"tmp/", "workspace/", "workspace/chat/", "workspace/dependencies/", "workspace/lambda-tools/", "workspace/volume/"} {
		mode := int64(0o755)
		if dir == "tmp/" {
			mode = 0o1777
		}
		if err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: mode}); err != nil {
			return err
		}
	}
	if err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "agent", Mode: 0o755, Size: info.Size()}); err != nil {
		return err
	}
	if _, err := io.Copy(out, f); err != nil {
		return err
	}
	return out.Close()
}
