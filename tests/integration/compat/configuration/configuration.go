// Reads configurations as the Go registry does, with its own package.
//
// Each line of standard input is {"release": 2 or 3, "file": base64, "environment": {name: base64}}. Each line of
// output is {"error": text} or {"values": {path: value}, "warnings": text}, where a path is made of the keys of the
// file ("http.tls.key", "log.hooks[0].type"), durations are nanoseconds, and a field that has its zero value is left
// out.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"reflect"
	"strings"

	"github.com/distribution/distribution/v3/configuration"
	version2 "github.com/docker/distribution/configuration"
	"github.com/sirupsen/logrus"
)

type request struct {
	Release     int               `json:"release"`
	File        []byte            `json:"file"`
	Environment map[string][]byte `json:"environment"`
}

type answer struct {
	Error    string         `json:"error,omitempty"`
	Values   map[string]any `json:"values,omitempty"`
	Warnings string         `json:"warnings,omitempty"`
}

// parse also turns a panic into an error: the registry would end with either.
func parse(asked request) (told answer) {
	defer func() {
		if problem := recover(); problem != nil {
			told = answer{Error: fmt.Sprint("panic: ", problem)}
		}
	}()
	os.Clearenv()
	for name, value := range asked.Environment {
		os.Setenv(name, string(value))
	}
	var warnings bytes.Buffer
	logrus.SetOutput(&warnings)
	var read any
	var err error
	if asked.Release == 2 {
		read, err = version2.Parse(bytes.NewReader(asked.File))
	} else {
		read, err = configuration.Parse(bytes.NewReader(asked.File))
	}
	if err != nil {
		return answer{Error: err.Error()}
	}
	values := map[string]any{}
	flatten("", reflect.ValueOf(read), false, values)
	return answer{Values: values, Warnings: warnings.String()}
}

// flatten adds what lies at path to values; zero values only of entries, which are known to be in the file.
func flatten(path string, value reflect.Value, entry bool, values map[string]any) {
	switch value.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !value.IsNil() {
			flatten(path, value.Elem(), entry, values)
		} else if entry {
			values[path[1:]] = nil
		}
	case reflect.Struct:
		for i := range value.NumField() {
			field := value.Type().Field(i)
			name, options, _ := strings.Cut(field.Tag.Get("yaml"), ",")
			if name == "" {
				name = strings.ToLower(field.Name)
			}
			below := path + "." + name
			if options == "inline" {
				below = path
			}
			flatten(below, value.Field(i), false, values)
		}
	case reflect.Map:
		for _, key := range value.MapKeys() {
			flatten(fmt.Sprintf("%s.%v", path, key), value.MapIndex(key), true, values)
		}
	case reflect.Slice:
		for i := range value.Len() {
			flatten(fmt.Sprintf("%s[%d]", path, i), value.Index(i), true, values)
		}
	default:
		if entry || !value.IsZero() {
			values[path[1:]] = plain(value)
		}
	}
}

// plain is the value as JSON can hold it: it has neither infinity nor whole numbers of more than 53 bits.
func plain(value reflect.Value) any {
	switch {
	case value.CanInt():
		return map[string]string{"whole": fmt.Sprint(value.Int())}
	case value.CanUint():
		return map[string]string{"whole": fmt.Sprint(value.Uint())}
	case value.CanFloat() && (math.IsInf(value.Float(), 0) || math.IsNaN(value.Float())):
		return map[string]string{"float": fmt.Sprint(value.Float())}
	}
	return value.Interface()
}

func main() {
	lines := json.NewDecoder(bufio.NewReader(os.Stdin))
	output := json.NewEncoder(os.Stdout)
	for {
		var asked request
		if lines.Decode(&asked) != nil {
			return
		}
		if err := output.Encode(parse(asked)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
