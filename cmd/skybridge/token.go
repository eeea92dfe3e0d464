package main

import (
	"errors"
	"os"
	"strings"
)

// readToken reads a secret from a file: a command line is seen by everybody on
// the machine. Without a file there is none.
func readToken(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(b))
	switch {
	case token == "":
		return "", errors.New(file + " is empty")
	case strings.ContainsAny(token, " \t\r\n"):
		return "", errors.New(file + " holds more than one word")
	}
	return token, nil
}
