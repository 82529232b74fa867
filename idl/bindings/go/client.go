package xensnap

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Contract is the version of the contract that this package speaks.
const Contract = 1

// HeartbeatMax is the age of a heartbeat beyond which the agent has stopped or hangs.
const HeartbeatMax = 30 * time.Second

var (
	// ErrNoAgent says that no agent has shown itself.
	ErrNoAgent = errors.New("no agent runs on this host; start xensnapd")
	// ErrStaleAgent says that the agent has stopped or hangs.
	ErrStaleAgent = errors.New("the agent has not been heard of for too long; restart xensnapd")
	// ErrNoOperation says that there is no such operation: never sent, acknowledged, or ended too long ago.
	ErrNoOperation = errors.New("there is no such operation; it was never sent, or ended and was forgotten")
	// ErrNotEnded says that an operation cannot be acknowledged yet.
	ErrNotEnded = errors.New("the operation has not ended; cancel it, or wait")
	// ErrWrongResult says that the file with an operation's result is not the one that the operation names.
	ErrWrongResult = errors.New("the result is not what the operation says")
)

// OperationError says that an operation ended, but not as asked: failed, cancelled or refused.
type OperationError struct {
	// Operation is its end.
	Operation *Operation
}

func (e *OperationError) Error() string {
	text := fmt.Sprintf("the operation %s was %s", e.Operation.ID, e.Operation.State)
	if e.Operation.Error != nil {
		text = string(e.Operation.Error.Message)
	}
	if hint := e.Hint(); hint != "" {
		text += "; " + hint
	}
	return text
}

// Kind is what kind of error it was: programs decide by this alone. Empty when the agent says nothing.
func (e *OperationError) Kind() ErrorKind {
	if e.Operation.Error == nil {
		return ""
	}
	return e.Operation.Error.Kind
}

// Hint is what to do about it, when something can be said.
func (e *OperationError) Hint() string {
	if e.Operation.Error == nil || e.Operation.Error.Hint == nil {
		return ""
	}
	return string(*e.Operation.Error.Hint)
}

// IsEnd says whether nothing more comes: done, failed, cancelled or refused.
func (s OperationState) IsEnd() bool {
	switch s {
	case OperationStateDone, OperationStateFailed, OperationStateCancelled, OperationStateRefused:
		return true
	}
	return false
}

// Client sends requests to the agent of this host and follows their operations. Goroutines may share it.
//
// The state is the agent's, on its disk: a program that dies can follow its operation again by its id.
type Client struct {
	connection   *Connection
	heartbeatMax time.Duration
}

// Dial connects to xenstored; an empty path stands for DefaultPath.
func Dial(ctx context.Context, path string) (*Client, error) {
	connection, err := Connect(ctx, path)
	if err != nil {
		return nil, err
	}
	return &Client{connection, HeartbeatMax}, nil
}

// NewClient is a client on a connection that is there.
func NewClient(connection *Connection) *Client { return &Client{connection, HeartbeatMax} }

// Close ends the connection. Operations go on.
func (c *Client) Close() error { return c.connection.Close() }

// Connection is the client's connection to xenstored.
func (c *Client) Connection() *Connection { return c.connection }

// xenstoreDialect is for values in xenstore.
var xenstoreDialect = dialect{depthMax: contract.depthMax, sizeMax: XenstoreMax, halves: true}

// document reads a node; nil where there is none.
func document[T any](ctx context.Context, c *Client, path string, of codec[T]) (*T, error) {
	value, err := c.connection.Read(ctx, path)
	if err != nil || value == nil {
		return nil, err
	}
	read, err := loads(of, value, xenstoreDialect)
	if err != nil {
		return nil, fmt.Errorf("%s in xenstore is not understood; is the agent newer than this program? %w", path, err)
	}
	return &read, nil
}

// AgentStatus is the agent's status, if it lives; its Trouble says whether it can do anything. Else the error is ErrNoAgent or
// ErrStaleAgent.
func (c *Client) AgentStatus(ctx context.Context) (*AgentStatus, error) {
	status, err := document[AgentStatus](ctx, c, AgentStatusPath, codecAgentStatus)
	if err != nil {
		return nil, err
	}
	if status == nil {
		return nil, ErrNoAgent
	}
	if time.Since(status.HeartbeatAt) > c.heartbeatMax {
		return nil, ErrStaleAgent
	}
	return status, nil
}

func newID() (OperationID, error) {
	var id UUID
	if _, err := rand.Read(id[:]); err != nil {
		return "", err
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return OperationID(id.String()), nil
}

func encoded(id OperationID, request *Request) ([]byte, error) {
	if fault := ruleOperationID.fault(string(id)); fault != "" {
		return nil, cannot("%s", fault)
	}
	return dumps[Request](codecRequest, *request, xenstoreDialect)
}

// RequestFor is the request to carry out an operation.
func RequestFor(op RequestOp) *Request { return &Request{Contract: Contract, Op: op} }

// Send writes a request under a fresh id, whether an agent lives or not: it takes it when it does. Run and Start also see to it
// that a request is not lost when xenstored dies before the agent has read it.
func (c *Client) Send(ctx context.Context, request *Request) (OperationID, error) {
	id, err := newID()
	if err != nil {
		return "", err
	}
	return id, c.SendAs(ctx, id, request)
}

// SendAs is Send under an id of the caller's. The same request again under the same id is no second operation.
func (c *Client) SendAs(ctx context.Context, id OperationID, request *Request) error {
	value, err := encoded(id, request)
	if err != nil {
		return err
	}
	return c.put(ctx, id, value)
}

// Start sends a request and follows its operation. ErrNoAgent, ErrStaleAgent: nothing was sent.
func (c *Client) Start(ctx context.Context, request *Request) (*Follow, error) {
	id, err := newID()
	if err != nil {
		return nil, err
	}
	return c.StartAs(ctx, id, request)
}

// StartAs is Start under an id of the caller's.
func (c *Client) StartAs(ctx context.Context, id OperationID, request *Request) (*Follow, error) {
	value, err := encoded(id, request)
	if err != nil {
		return nil, err
	}
	if _, err := c.AgentStatus(ctx); err != nil {
		return nil, err
	}
	w, err := c.connection.watch(ctx, OperationPath(id))
	if err != nil {
		return nil, err
	}
	sentOn := c.connection.Generation()
	if err := c.put(ctx, id, value); err != nil {
		c.connection.unwatch(w)
		return nil, err
	}
	return &Follow{client: c, id: id, watch: w, sent: value, sentOn: sentOn, look: true, alive: time.Now()}, nil
}

// Follow follows an operation that was sent before, by this program or another.
func (c *Client) Follow(ctx context.Context, id OperationID) (*Follow, error) {
	w, err := c.connection.watch(ctx, OperationPath(id))
	if err != nil {
		return nil, err
	}
	// The agent removes the request after it wrote the operation, so one of the two is always there.
	for _, path := range []string{OperationPath(id), RequestPath(id), OperationPath(id)} {
		value, err := c.connection.Read(ctx, path)
		if value != nil {
			return &Follow{client: c, id: id, watch: w, look: true, alive: time.Now()}, nil
		}
		if err != nil {
			c.connection.unwatch(w)
			return nil, err
		}
	}
	c.connection.unwatch(w)
	return nil, fmt.Errorf("%s: %w", id, ErrNoOperation)
}

// Run sends a request and waits until it is done. The error is an *OperationError when it ends otherwise. When the context ends
// before, the operation goes on: it can be followed by the id of the operation that is returned, if any was seen.
func (c *Client) Run(ctx context.Context, request *Request) (*Operation, error) {
	follow, err := c.Start(ctx, request)
	if err != nil {
		return nil, err
	}
	defer follow.Close()
	return follow.Wait(ctx)
}

// Cancel asks the agent to cancel an operation. The result is the id of the cancel, which is an operation of its own.
func (c *Client) Cancel(ctx context.Context, id OperationID) (OperationID, error) {
	return c.Send(ctx, RequestFor(&Cancel{Operation: id}))
}

// Operation is an operation as it stands now; nil when xenstore shows none.
func (c *Client) Operation(ctx context.Context, id OperationID) (*Operation, error) {
	return document[Operation](ctx, c, OperationPath(id), codecOperation)
}

// Operations is all operations that xenstore shows.
func (c *Client) Operations(ctx context.Context) ([]*Operation, error) {
	names, err := c.connection.Directory(ctx, OperationFolder)
	if err != nil {
		return nil, err
	}
	var all []*Operation
	for _, name := range names {
		operation, err := c.Operation(ctx, OperationID(name))
		if err != nil {
			return nil, err
		}
		if operation != nil {
			all = append(all, operation)
		}
	}
	return all, nil
}

// DomainStatus is what xenstore shows of a domain that has snapshots; nil when it shows none.
func (c *Client) DomainStatus(ctx context.Context, id UUID) (*DomainStatus, error) {
	return document[DomainStatus](ctx, c, DomainStatusPath(id), codecDomainStatus)
}

// Acknowledge says that the end of an operation has been seen: xenstore shows it no longer.
func (c *Client) Acknowledge(ctx context.Context, id OperationID) error {
	operation, err := c.Operation(ctx, id)
	if err != nil || operation == nil {
		return err
	}
	if !operation.State.IsEnd() {
		return fmt.Errorf("%s: %w", id, ErrNotEnded)
	}
	return c.connection.Remove(ctx, OperationPath(id))
}

// ReadResult reads the result of an operation that is too large for xenstore (a plan, a long error); its size and sum are
// checked.
func (c *Client) ReadResult(named *ResultFile) ([]byte, error) {
	if named.Size > DocumentMax {
		return nil, fmt.Errorf("%s: %w: it is larger than any result", named.Path, ErrWrongResult)
	}
	// Looked at before it is opened: opening a FIFO would wait for ever.
	info, err := os.Lstat(named.Path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w: it is no regular file", named.Path, ErrWrongResult)
	}
	file, err := os.Open(named.Path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, int64(named.Size)+1))
	if err != nil {
		return nil, err
	}
	if uint64(len(data)) != named.Size {
		return nil, fmt.Errorf("%s: %w: its size is another", named.Path, ErrWrongResult)
	}
	if fmt.Sprintf("%x", sha256.Sum256(data)) != string(named.SHA256) {
		return nil, fmt.Errorf("%s: %w: its SHA-256 is another", named.Path, ErrWrongResult)
	}
	return data, nil
}

// put writes a request for dom0 only: a new node has its folder's permissions.
func (c *Client) put(ctx context.Context, id OperationID, value []byte) error {
	for attempt := 1; ; attempt++ {
		err := c.tryPut(ctx, id, value)
		// Written or not: the same bytes under the same id do no harm.
		if !errors.Is(err, ErrDisconnected) || attempt == 3 {
			return err
		}
		if err := sleep(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
}

func (c *Client) tryPut(ctx context.Context, id OperationID, value []byte) error {
	permissions, err := c.connection.Permissions(ctx, RequestFolder)
	if err != nil {
		return err
	}
	if len(permissions) != 1 || permissions[0] != "n0" {
		if err := c.connection.MakePrivate(ctx, RequestFolder); err != nil {
			return err
		}
	}
	return c.connection.Write(ctx, RequestPath(id), value)
}

func sleep(ctx context.Context, pause time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pause):
		return nil
	}
}

// Follow is the states of one operation, up to its end. It survives the restart of xenstored, and of the agent if that is back
// soon enough.
type Follow struct {
	client *Client
	id     OperationID
	watch  *watch
	// The request, if it was sent here, and the connection that it was sent on.
	sent   []byte
	sentOn uint64
	// There may be something that was not read yet.
	look bool
	// What was read last, and on which connection.
	seen   []byte
	seenOn uint64
	last   *Operation
	// When the agent was last known to be alive.
	alive time.Time
}

// ID is the operation's id.
func (f *Follow) ID() OperationID { return f.id }

// Last is what was last seen of the operation; nil when nothing was.
func (f *Follow) Last() *Operation { return f.last }

// Close ends the watch. The operation goes on.
func (f *Follow) Close() error {
	f.client.connection.unwatch(f.watch)
	return nil
}

// Next is the operation's next state; io.EOF after its end. States may be skipped, the end is not.
//
// ErrNoAgent, ErrStaleAgent: the agent has been away for too long; call again to go on waiting. ErrNoOperation: somebody else
// acknowledged it.
func (f *Follow) Next(ctx context.Context) (*Operation, error) {
	if f.last != nil && f.last.State.IsEnd() {
		return nil, io.EOF
	}
	for {
		if f.look {
			operation, err := f.read(ctx)
			switch {
			case errors.Is(err, ErrDisconnected):
				if f.isAway() {
					return nil, err
				}
				if err := sleep(ctx, 100*time.Millisecond); err != nil {
					return nil, err
				}
				continue
			case err != nil || operation != nil:
				return operation, err
			case f.look:
				continue
			}
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("the operation %s has not ended; it goes on: follow it, or cancel it: %w", f.id, ctx.Err())
		case <-f.watch.changed:
			f.look = true
		case <-time.After(f.client.heartbeatMax / 3):
			if err := f.checkAgent(ctx); err != nil {
				return nil, err
			}
		}
	}
}

// Wait waits until the operation is done. The error is an *OperationError when it ends otherwise.
func (f *Follow) Wait(ctx context.Context) (*Operation, error) {
	for {
		_, err := f.Next(ctx)
		if err == io.EOF {
			break
		}
		if err != nil {
			return f.last, err
		}
	}
	if f.last.State != OperationStateDone {
		return f.last, &OperationError{f.last}
	}
	return f.last, nil
}

// read reads the operation; nil if it is the same as last time.
func (f *Follow) read(ctx context.Context) (*Operation, error) {
	connection := f.client.connection
	generation := connection.Generation()
	value, err := connection.Read(ctx, OperationPath(f.id))
	if err != nil {
		return nil, err
	}
	if connection.Generation() != generation {
		return nil, nil // read from an empty store, maybe: look again
	}
	f.look = false
	if value == nil {
		return nil, f.missing(ctx, generation)
	}
	f.alive = time.Now()
	f.seenOn = generation
	if f.seen != nil && string(value) == string(f.seen) {
		return nil, nil
	}
	operation, err := loads[Operation](codecOperation, value, xenstoreDialect)
	if err != nil {
		return nil, fmt.Errorf("the operation %s is not understood; is the agent newer than this program? %w", f.id, err)
	}
	f.seen, f.last = value, &operation
	return f.last, nil
}

// missing is for when there is no operation in xenstore.
func (f *Follow) missing(ctx context.Context, generation uint64) error {
	if f.seen != nil && f.seenOn == generation {
		return fmt.Errorf("%s: %w", f.id, ErrNoOperation)
	}
	// Not yet; or xenstored died and the agent has not shown it again; or the request died with xenstored before the agent read
	// it. If so it is sent again: the same bytes under the same id are the same operation.
	if f.sent == nil || f.sentOn == generation {
		return nil
	}
	value, err := f.client.connection.Read(ctx, RequestPath(f.id))
	if err == nil && value == nil {
		err = f.client.put(ctx, f.id, f.sent)
	}
	if err != nil {
		f.look = true
		return err
	}
	f.sentOn = generation
	return nil
}

func (f *Follow) isAway() bool { return time.Since(f.alive) > f.client.heartbeatMax }

func (f *Follow) checkAgent(ctx context.Context) error {
	_, err := f.client.AgentStatus(ctx)
	switch {
	case err == nil:
		f.alive = time.Now()
	case errors.Is(err, ErrDisconnected):
		f.look = true
	case (errors.Is(err, ErrNoAgent) || errors.Is(err, ErrStaleAgent)) && !f.isAway():
		// It may be restarting.
	default:
		return err
	}
	return nil
}
