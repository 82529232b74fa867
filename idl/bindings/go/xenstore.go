package xensnap

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Connection is a connection to xenstored, by its own protocol (xen/include/public/io/xs_wire.h).
//
// A goroutine reads all that the daemon sends, since a client that does not would hold up others. When the daemon dies every
// call fails with ErrDisconnected; the next one connects anew and sets every watch again. A daemon that comes back has
// forgotten everything.
type Connection struct {
	path string

	connecting sync.Mutex // held while a link is made
	sending    sync.Mutex // held while a request is written

	mu         sync.Mutex
	link       *link
	generation uint64
	closed     bool
	next       uint32
	watches    map[string]*watch
}

// ErrDisconnected says that the connection was lost, or cannot be made. Whether a request that was on its way was carried out
// is not known.
var ErrDisconnected = errors.New("xenstore: no connection to the daemon")

// RefusedError is the daemon's errno.
type RefusedError struct {
	// Verb and Path say what was asked.
	Verb, Path string
	// Errno is the daemon's answer: ENOENT, EACCES ..
	Errno string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("xenstore: %s %s: %s", e.Verb, e.Path, e.Errno)
}

func isErrno(err error, errno string) bool {
	var refused *RefusedError
	return errors.As(err, &refused) && refused.Errno == errno
}

type opcode uint32

const (
	opDirectory     opcode = 1
	opRead          opcode = 2
	opGetPerms      opcode = 3
	opWatch         opcode = 4
	opUnwatch       opcode = 5
	opStart         opcode = 6
	opEnd           opcode = 7
	opWrite         opcode = 11
	opMkdir         opcode = 12
	opRm            opcode = 13
	opSetPerms      opcode = 14
	opEvent         opcode = 15
	opError         opcode = 16
	opDirectoryPart opcode = 22
)

func (o opcode) String() string {
	switch o {
	case opDirectory, opDirectoryPart:
		return "list"
	case opRead:
		return "read"
	case opGetPerms:
		return "get permissions of"
	case opWatch:
		return "watch"
	case opUnwatch:
		return "unwatch"
	case opStart:
		return "begin"
	case opEnd:
		return "end"
	case opWrite:
		return "write"
	case opMkdir:
		return "make"
	case opRm:
		return "remove"
	case opSetPerms:
		return "set permissions of"
	}
	return "ask"
}

const (
	headerSize = 16
	payloadMax = 4096
	replyMax   = 16 << 20
	// How long a request may take where the context says nothing else.
	requestTime = 10 * time.Second
)

// link is one connection, until it breaks.
type link struct {
	stream  io.ReadWriteCloser
	broken  chan struct{}
	once    sync.Once
	replies map[uint32]chan reply // guarded by Connection.mu
}

type reply struct {
	op      opcode
	payload []byte
}

// watch is a path that is watched; its channel has an element when something may have changed.
type watch struct {
	path, token string
	changed     chan struct{}
}

func (w *watch) poke() {
	select {
	case w.changed <- struct{}{}:
	default: // equal events are one
	}
}

// DefaultPath is where the daemon listens: $XENSTORED_PATH, as for Xen's own tools, or the usual places.
func DefaultPath() string {
	if path := os.Getenv("XENSTORED_PATH"); path != "" {
		return path
	}
	places := []string{"/run/xenstored/socket", "/var/run/xenstored/socket", "/dev/xen/xenbus", "/proc/xen/xenbus"}
	for _, path := range places {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return places[0]
}

// Connect connects to xenstored; an empty path stands for DefaultPath.
func Connect(ctx context.Context, path string) (*Connection, error) {
	if path == "" {
		path = DefaultPath()
	}
	c := &Connection{path: path, watches: map[string]*watch{}}
	_, err := c.connected(ctx)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Close ends the connection, and what waits for it.
func (c *Connection) Close() error {
	c.mu.Lock()
	c.closed = true
	l := c.link
	c.mu.Unlock()
	if l != nil {
		c.lost(l)
	}
	return nil
}

func open(ctx context.Context, path string) (io.ReadWriteCloser, error) {
	if info, err := os.Stat(path); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		return os.OpenFile(path, os.O_RDWR, 0)
	}
	dialer := net.Dialer{Timeout: requestTime}
	for {
		stream, err := dialer.DialContext(ctx, "unix", path)
		// The daemon's backlog is 1.
		if !errors.Is(err, syscall.EAGAIN) {
			return stream, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// connected is the connection; made anew when it was lost, with every watch set again.
func (c *Connection) connected(ctx context.Context) (*link, error) {
	c.connecting.Lock()
	defer c.connecting.Unlock()
	c.mu.Lock()
	l, closed := c.link, c.closed
	c.mu.Unlock()
	if l != nil {
		return l, nil
	}
	if closed {
		return nil, net.ErrClosed
	}
	stream, err := open(ctx, c.path)
	if err != nil {
		return nil, fmt.Errorf("%w: %v; is xenstored running, and is this dom0's root?", ErrDisconnected, err)
	}
	l = &link{stream: stream, broken: make(chan struct{}), replies: map[uint32]chan reply{}}
	c.mu.Lock()
	c.link = l
	c.generation++
	var watches []*watch
	for _, w := range c.watches {
		watches = append(watches, w)
	}
	c.mu.Unlock()
	go c.readAll(l)
	for _, w := range watches {
		if _, err := c.ask(ctx, l, opWatch, w.path, words(w.path, w.token), 0); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (c *Connection) lost(l *link) {
	l.once.Do(func() {
		c.mu.Lock()
		if c.link == l {
			c.link = nil
		}
		for _, w := range c.watches {
			w.poke()
		}
		c.mu.Unlock()
		close(l.broken)
		l.stream.Close()
	})
}

func (c *Connection) readAll(l *link) {
	defer c.lost(l)
	header := make([]byte, headerSize)
	for {
		if _, err := io.ReadFull(l.stream, header); err != nil {
			return
		}
		op := opcode(binary.LittleEndian.Uint32(header))
		id := binary.LittleEndian.Uint32(header[4:])
		size := binary.LittleEndian.Uint32(header[12:])
		if size > replyMax {
			return
		}
		payload := make([]byte, size)
		if _, err := io.ReadFull(l.stream, payload); err != nil {
			return
		}
		c.mu.Lock()
		if op == opEvent {
			if parts := strings.Split(string(payload), "\x00"); len(parts) > 1 {
				if w := c.watches[parts[1]]; w != nil {
					w.poke()
				}
			}
		} else if waiting := l.replies[id]; waiting != nil {
			delete(l.replies, id)
			waiting <- reply{op, payload}
		}
		c.mu.Unlock()
	}
}

func (c *Connection) ask(ctx context.Context, l *link, op opcode, what string, payload []byte, transaction uint32) (
	[]byte, error) {
	if len(payload) > payloadMax {
		return nil, fmt.Errorf("xenstore: %s: a request of %d bytes is too large (at most %d)", what, len(payload), payloadMax)
	}
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	answer := make(chan reply, 1)
	c.mu.Lock()
	c.next++
	request := c.next
	l.replies[request] = answer
	c.mu.Unlock()
	message := make([]byte, headerSize, headerSize+len(payload))
	for i, word := range []uint32{uint32(op), request, transaction, uint32(len(payload))} {
		binary.LittleEndian.PutUint32(message[4*i:], word)
	}
	c.sending.Lock()
	_, err := l.stream.Write(append(message, payload...))
	c.sending.Unlock()
	if err != nil {
		c.lost(l)
	}
	select {
	case r := <-answer:
		if r.op == opError {
			return nil, &RefusedError{op.String(), what, strings.TrimRight(string(r.payload), "\x00")}
		}
		return r.payload, nil
	case <-l.broken:
		return nil, fmt.Errorf("%w: it was lost; ask again", ErrDisconnected)
	case <-ctx.Done():
		c.mu.Lock()
		delete(l.replies, request)
		c.mu.Unlock()
		return nil, fmt.Errorf("xenstore: %v %s: %w", op, what, ctx.Err())
	}
}

func (c *Connection) request(ctx context.Context, op opcode, path string, payload []byte) ([]byte, error) {
	l, err := c.connected(ctx)
	if err != nil {
		return nil, err
	}
	return c.ask(ctx, l, op, path, payload, 0)
}

// words is each part with a NUL behind it.
func words(parts ...string) []byte {
	var out []byte
	for _, part := range parts {
		out = append(append(out, part...), 0)
	}
	return out
}

func stringsOf(payload []byte) []string {
	if text := strings.TrimRight(string(payload), "\x00"); text != "" {
		return strings.Split(text, "\x00")
	}
	return nil
}

// Generation counts the connections made so far: a new one may be to a daemon that has forgotten everything.
func (c *Connection) Generation() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.generation
}

// Read is a node's value; nil where there is no node.
func (c *Connection) Read(ctx context.Context, path string) ([]byte, error) {
	value, err := c.request(ctx, opRead, path, words(path))
	if isErrno(err, "ENOENT") {
		return nil, nil
	}
	if err == nil && value == nil {
		value = []byte{}
	}
	return value, err
}

// Write writes a node, and makes those above it that are not there.
func (c *Connection) Write(ctx context.Context, path string, value []byte) error {
	_, err := c.request(ctx, opWrite, path, append(words(path), value...))
	return err
}

// Remove removes a node and all below it; one that is not there is fine.
func (c *Connection) Remove(ctx context.Context, path string) error {
	_, err := c.request(ctx, opRm, path, words(path))
	if isErrno(err, "ENOENT") {
		return nil
	}
	return err
}

// Directory is the names below a node; none where there is no node.
func (c *Connection) Directory(ctx context.Context, path string) ([]string, error) {
	payload, err := c.request(ctx, opDirectory, path, words(path))
	switch {
	case isErrno(err, "ENOENT"):
		return nil, nil
	case isErrno(err, "E2BIG"): // C xenstored, whose replies hold 4096 bytes
		return c.largeDirectory(ctx, path)
	case err != nil:
		return nil, err
	}
	return stringsOf(payload), nil
}

func (c *Connection) largeDirectory(ctx context.Context, path string) ([]string, error) {
	var all []byte
	generation := ""
	for {
		payload, err := c.request(ctx, opDirectoryPart, path, words(path, strconv.Itoa(len(all))))
		if err != nil {
			return nil, err
		}
		now, part, _ := strings.Cut(string(payload), "\x00")
		if generation != "" && now != generation {
			all, generation = nil, "" // it changed: again from its start
			continue
		}
		generation = now
		// A further NUL ends the whole.
		if strings.HasSuffix(part, "\x00\x00") || part == "\x00" {
			return stringsOf(append(all, part...)), nil
		}
		all = append(all, part...)
	}
}

// Permissions is a node's permissions, the owner first ("n0"); none where there is no node.
func (c *Connection) Permissions(ctx context.Context, path string) ([]string, error) {
	payload, err := c.request(ctx, opGetPerms, path, words(path))
	if isErrno(err, "ENOENT") {
		return nil, nil
	}
	return stringsOf(payload), err
}

// MakePrivate makes a node that only dom0 may look at, in one step.
func (c *Connection) MakePrivate(ctx context.Context, path string) error {
	var err error
	for attempt := 0; attempt < 20; attempt++ {
		if err = c.tryMakePrivate(ctx, path); !isErrno(err, "EAGAIN") {
			return err
		}
	}
	return err
}

func (c *Connection) tryMakePrivate(ctx context.Context, path string) error {
	l, err := c.connected(ctx)
	if err != nil {
		return err
	}
	begun, err := c.ask(ctx, l, opStart, "a transaction", words(""), 0)
	if err != nil {
		return err
	}
	number, err := strconv.ParseUint(strings.TrimRight(string(begun), "\x00"), 10, 32)
	if err != nil {
		return fmt.Errorf("xenstore: the daemon's answer makes no sense: %w", err)
	}
	transaction := uint32(number)
	if _, err = c.ask(ctx, l, opMkdir, path, words(path), transaction); err == nil {
		_, err = c.ask(ctx, l, opSetPerms, path, words(path, "n0"), transaction)
	}
	end := "T"
	if err != nil {
		end = "F"
	}
	if _, endErr := c.ask(ctx, l, opEnd, "a transaction", words(end), transaction); err == nil {
		err = endErr
	}
	return err
}

// watch watches a path and all below it. The first event comes at once.
func (c *Connection) watch(ctx context.Context, path string) (*watch, error) {
	l, err := c.connected(ctx)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.next++
	w := &watch{path, fmt.Sprintf("go-%d", c.next), make(chan struct{}, 1)}
	c.watches[w.token] = w
	c.mu.Unlock()
	if _, err := c.ask(ctx, l, opWatch, path, words(path, w.token), 0); err != nil {
		c.mu.Lock()
		delete(c.watches, w.token)
		c.mu.Unlock()
		return nil, err
	}
	return w, nil
}

func (c *Connection) unwatch(w *watch) {
	c.mu.Lock()
	_, known := c.watches[w.token]
	delete(c.watches, w.token)
	l := c.link
	c.mu.Unlock()
	if known && l != nil {
		// A daemon that does not answer has nothing to forget.
		_, _ = c.ask(context.Background(), l, opUnwatch, w.path, words(w.path, w.token), 0)
	}
}
