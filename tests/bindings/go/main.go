// What tests/bindings asks of each language's client; main.rs says what it has to print.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"xensnap"
)

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func refused(ctx context.Context, client *xensnap.Client, op xensnap.RequestOp) {
	_, err := client.Run(ctx, xensnap.RequestFor(op))
	var failed *xensnap.OperationError
	if !errors.As(err, &failed) {
		log.Fatal(err)
	}
	hint := "no hint"
	if failed.Hint() != "" {
		hint = "hint"
	}
	fmt.Println(failed.Operation.State, failed.Kind(), hint)
}

func talk(ctx context.Context, client *xensnap.Client, name string) {
	fmt.Println("contract", must(client.AgentStatus(ctx)).Contract)
	snapshot := xensnap.SnapshotName(name)
	follow := must(client.Start(ctx, xensnap.RequestFor(&xensnap.VMSnapshotCreate{Domain: "web1", Name: &snapshot})))
	progress := "no progress"
	for {
		operation, err := follow.Next(ctx)
		if err == io.EOF {
			break
		}
		if must(operation, err).State == xensnap.OperationStateRunning {
			progress = "progress"
		}
	}
	end := follow.Last()
	fmt.Println(end.State, *end.SnapshotName, end.Step, "of", end.Steps, progress)
	disks := must(client.Run(ctx, xensnap.RequestFor(&xensnap.DiskSnapshotCreate{
		Domain: "web1", Name: xensnap.Ptr(snapshot + "-disks"), Disks: []xensnap.Vdev{"vda"},
	})))
	fmt.Println(disks.State, *disks.SnapshotName)
	refused(ctx, client, &xensnap.VMSnapshotCreate{Domain: "web1", Name: &snapshot})
	refused(ctx, client, &xensnap.VMSnapshotDelete{Domain: "nobody", Snapshot: "x"})
	_, err := client.Send(ctx, xensnap.RequestFor(&xensnap.VMSnapshotDelete{Domain: "no body", Snapshot: "x"}))
	var encode *xensnap.EncodeError
	if !errors.As(err, &encode) {
		log.Fatal(err)
	}
	fmt.Println("not sent:", encode.Path)
	dry := xensnap.RequestFor(&xensnap.VMSnapshotRevert{Domain: "web1", Snapshot: xensnap.SnapshotRef(name)})
	dry.DryRun = true
	result := must(client.ReadResult(must(client.Run(ctx, dry)).Result))
	var plan xensnap.Plan
	if err := plan.UnmarshalJSON(result); err != nil {
		log.Fatal(err)
	}
	steps := "with steps"
	if len(plan.Steps) == 0 {
		steps = "without steps"
	}
	fmt.Println("plan of", plan.DomainName, steps)
	if _, err := client.Follow(ctx, "never-sent"); errors.Is(err, xensnap.ErrNoOperation) {
		fmt.Println("no operation never-sent")
	}
	shown := len(must(client.Operations(ctx)))
	if err := client.Acknowledge(ctx, disks.ID); err != nil {
		log.Fatal(err)
	}
	gone := "no"
	if must(client.Operation(ctx, disks.ID)) == nil {
		gone = "yes"
	}
	fmt.Println("acknowledged", shown-len(must(client.Operations(ctx))), gone)
}

func outage(ctx context.Context, client *xensnap.Client) {
	follow := must(client.Start(ctx, xensnap.RequestFor(&xensnap.Cancel{Operation: "nothing"})))
	fmt.Println("sent")
	short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	if _, err := follow.Wait(short); errors.Is(err, context.DeadlineExceeded) {
		fmt.Println("waiting")
	}
	_, err := follow.Wait(ctx)
	var failed *xensnap.OperationError
	if !errors.As(err, &failed) {
		log.Fatal(err)
	}
	fmt.Println(failed.Operation.State, failed.Kind())
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Second)
	defer cancel()
	client := must(xensnap.Dial(ctx, ""))
	defer client.Close()
	if os.Args[1] == "talk" {
		talk(ctx, client, os.Args[2])
	} else {
		outage(ctx, client)
	}
}
