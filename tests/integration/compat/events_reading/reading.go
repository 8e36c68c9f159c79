// Reads events as programs do that use the packages of the Go registries, and writes what they have read.
//
// Each line of standard input is {"release": 2 or 3, "envelope": base64}. Each line of output is {"error": text} or
// {"envelope": base64}: what the registry of that release would have sent. That of 3 refuses members that it does not
// know; those of 2 are of an older form, whose readers pass over what is new.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"

	"github.com/distribution/distribution/v3/notifications"
	version2 "github.com/docker/distribution/notifications"
)

type request struct {
	Release  int    `json:"release"`
	Envelope []byte `json:"envelope"`
}

type answer struct {
	Error    string `json:"error,omitempty"`
	Envelope []byte `json:"envelope,omitempty"`
}

// envelope3 is notifications.Envelope, whose events may be of any type, with those that the registry puts into it.
type envelope3 struct {
	Events []notifications.Event `json:"events"`
}

func read(asked request) answer {
	decoder := json.NewDecoder(bytes.NewReader(asked.Envelope))
	var found any = &version2.Envelope{}
	if asked.Release == 3 {
		found = &envelope3{}
		decoder.DisallowUnknownFields()
	}
	if err := decoder.Decode(found); err != nil {
		return answer{Error: err.Error()}
	}
	if _, err := decoder.Token(); err != io.EOF {
		return answer{Error: "there is more behind the envelope"}
	}
	written, err := json.MarshalIndent(found, "", "   ")
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{Envelope: written}
}

func main() {
	input, output := bufio.NewReader(os.Stdin), json.NewEncoder(os.Stdout)
	for lines := json.NewDecoder(input); ; {
		var asked request
		if err := lines.Decode(&asked); err == io.EOF {
			return
		} else if err != nil {
			panic(err)
		}
		if err := output.Encode(read(asked)); err != nil {
			panic(err)
		}
	}
}
