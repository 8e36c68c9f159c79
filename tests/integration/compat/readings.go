// Readings says how clients written in Go read manifests: a line of base64 in, a line of JSON out.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
)

// The structs have the fields, tags and types of image-spec's v1 and of the registry's manifestlist and ocischema.

type platform struct {
	Architecture string   `json:"architecture"`
	OS           string   `json:"os"`
	OSVersion    string   `json:"os.version,omitempty"`
	OSFeatures   []string `json:"os.features,omitempty"`
	Variant      string   `json:"variant,omitempty"`
}

type descriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	URLs         []string          `json:"urls,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	Data         []byte            `json:"data,omitempty"`
	Platform     *platform         `json:"platform,omitempty"`
	ArtifactType string            `json:"artifactType,omitempty"`
}

type manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType,omitempty"`
	ArtifactType  string            `json:"artifactType,omitempty"`
	Config        descriptor        `json:"config"`
	Layers        []descriptor      `json:"layers"`
	Blobs         []descriptor      `json:"blobs,omitempty"`
	Manifests     []descriptor      `json:"manifests"`
	Subject       *descriptor       `json:"subject,omitempty"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

// What the registry itself reads to find out what it has stored (manifeststore.go).
type versioned struct {
	SchemaVersion int    `json:"schemaVersion"`
	MediaType     string `json:"mediaType,omitempty"`
}

type image struct {
	versioned
	Config      descriptor        `json:"config"`
	Layers      []descriptor      `json:"layers"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type index struct {
	versioned
	Manifests   []descriptor      `json:"manifests"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

const (
	ociImage    = "application/vnd.oci.image.manifest.v1+json"
	ociIndex    = "application/vnd.oci.image.index.v1+json"
	dockerImage = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList  = "application/vnd.docker.distribution.manifest.list.v2+json"
)

// served is the Content-Type with which the registry serves a stored manifest, or "" if it does not.
func served(content []byte) string {
	var stated versioned
	if json.Unmarshal(content, &stated) != nil || stated.SchemaVersion != 2 {
		return ""
	}
	var asImage image
	var asIndex index
	imageError, indexError := json.Unmarshal(content, &asImage), json.Unmarshal(content, &asIndex)
	switch stated.MediaType {
	case ociImage, dockerImage:
		if imageError == nil {
			return stated.MediaType
		}
	case ociIndex, dockerList:
		if indexError == nil {
			return stated.MediaType
		}
	case "":
		if indexError != nil { // the registry panics
			return ""
		}
		if asIndex.Manifests != nil {
			return ociIndex
		}
		if imageError == nil {
			return ociImage
		}
	}
	return ""
}

type reading struct {
	Error  string    `json:"error,omitempty"`
	Served string    `json:"served"`
	Read   *manifest `json:"read"`
}

func main() {
	lines := bufio.NewReaderSize(os.Stdin, 1<<20)
	output := json.NewEncoder(os.Stdout)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		content, err := base64.StdEncoding.DecodeString(line[:len(line)-1])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		told := reading{Served: served(content), Read: &manifest{}}
		if err := json.Unmarshal(content, told.Read); err != nil {
			told.Error = err.Error()
		}
		if err := output.Encode(told); err != nil {
			os.Exit(1)
		}
	}
}
