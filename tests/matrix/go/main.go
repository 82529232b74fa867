// The matrix' protocol: each line `UNIT TYPE JSON` is answered by `ok JSON` (read into the typed value and written again) or by
// `no MESSAGE`.
package main

import (
	"bufio"
	"bytes"
	"os"
	"strings"

	"libxl"
	"xensnap"
)

func recoders() map[string]func([]byte) ([]byte, error) {
	all := map[string]func([]byte) ([]byte, error){}
	for _, t := range xensnap.Types {
		all["contract "+t.Name] = t.Recode
	}
	for _, t := range libxl.Types {
		all["libxl "+t.Name] = t.Recode
	}
	return all
}

func main() {
	types := recoders()
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	lines := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		line, err := lines.ReadString('\n')
		if line == "" && err != nil {
			return
		}
		words := append(strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 3), "", "")
		recode := types[words[0]+" "+words[1]]
		if recode == nil {
			out.WriteString("no unknown type\n")
			continue
		}
		if written, err := recode([]byte(words[2])); err != nil {
			out.WriteString("no " + strings.ReplaceAll(err.Error(), "\n", " ") + "\n")
		} else {
			// The layout of libxl's JSON ends lines; no string holds one.
			out.WriteString("ok " + string(bytes.ReplaceAll(written, []byte("\n"), nil)) + "\n")
		}
	}
}
