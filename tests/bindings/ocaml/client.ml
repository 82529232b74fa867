(* What tests/bindings asks of each language's client; main.rs says what it has to print. *)
open Xensnap

let say format = Printf.ksprintf print_endline format
let fail format = Printf.ksprintf (fun why -> prerr_endline why; exit 1) format
let get = function Ok value -> value | Error error -> fail "%s" (Client.error_to_string error)
let domain = Domain_ref.of_string_exn
let snapshot = Snapshot_ref.of_string_exn
let request ?dry_run op = Request.make ?dry_run ~contract:Client.contract ~op ()
let state (operation : Operation.t) = Operation_state.to_string operation.state
let name (operation : Operation.t) = Option.fold ~none:"-" ~some:Snapshot_name.to_string operation.snapshot_name

let refused client op =
  match Client.run client ~timeout:60.0 (request op) with
  | Error (Ended ({ error = Some { kind; hint; _ }; _ } as operation)) ->
      say "%s %s %s" (state operation) (Error_kind.to_string kind) (if hint = None then "no hint" else "hint")
  | Ok _ -> fail "not refused"
  | Error error -> fail "%s" (Client.error_to_string error)

let talk client named =
  say "contract %d" (get (Client.agent_status client)).contract;
  let running = ref false in
  let progress (operation : Operation.t) = if operation.state = Running then running := true in
  let create = Vm_snapshot_create.make ~domain:(domain "web1") ~name:(Snapshot_name.of_string_exn named) () in
  let taken = get (Client.run client ~progress (request (Vm_snapshot_create create))) in
  say "%s %s %d of %d %s" (state taken) (name taken) taken.step taken.steps (if !running then "progress" else "no progress");
  let disks = [ Vdev.of_string_exn "vda" ] in
  let create_disks =
    Disk_snapshot_create.make ~domain:(domain "web1") ~name:(Snapshot_name.of_string_exn (named ^ "-disks")) ~disks ()
  in
  let disks = get (Client.run client ~timeout:60.0 (request (Disk_snapshot_create create_disks))) in
  say "%s %s" (state disks) (name disks);
  refused client (Vm_snapshot_create create);
  refused client (Vm_snapshot_delete (Vm_snapshot_delete.make ~domain:(domain "nobody") ~snapshot:(snapshot "x") ()));
  (* A name that is none is told when it is made; what is only too long for its field, when it is written. *)
  (match Domain_ref.of_string "no body" with
   | Error _ -> say "not sent: op.vm_snapshot_delete.domain"
   | Ok _ -> fail "that is a domain");
  let long = Vm_snapshot_create.make ~domain:(domain "web1") ~description:(Line.of_string_exn (String.make 201 'x')) () in
  (match Client.send client (request (Vm_snapshot_create long)) with
   | Error (Encode { path = "op.vm_snapshot_create.description"; _ }) -> ()
   | Ok _ | Error _ -> fail "a description of 201 bytes");
  let revert = Vm_snapshot_revert.make ~domain:(domain "web1") ~snapshot:(snapshot named) () in
  let dry = get (Client.run client ~timeout:60.0 (request ~dry_run:true (Vm_snapshot_revert revert))) in
  let file = match dry.result with Some file -> file | None -> fail "no result" in
  (match Plan.of_json (get (Client.read_result file)) with
   | Ok plan ->
       say "plan of %s %s" (Line.to_string plan.domain_name) (if plan.steps = [] then "without steps" else "with steps")
   | Error error -> fail "%s" (Json.error_to_string error));
  (match Client.resume client (Operation_id.of_string_exn "never-sent") with
   | Error (No_operation id) -> say "no operation %s" (Operation_id.to_string id)
   | Ok _ | Error _ -> fail "an operation that nobody sent");
  let shown () = List.length (get (Client.operations client)) in
  let before = shown () in
  get (Client.acknowledge client disks.id);
  let gone = get (Client.operation client disks.id) = None in
  say "acknowledged %d %s" (before - shown ()) (if gone then "yes" else "no")

let outage client =
  let cancel = Cancel.make ~operation:(Operation_id.of_string_exn "nothing") () in
  let follow = get (Client.start client (request (Cancel cancel))) in
  say "sent";
  (match Client.result ~timeout:0.2 follow with
   | Error (Timeout _) -> say "waiting"
   | Ok _ | Error _ -> fail "an end without an agent");
  match Client.result ~timeout:60.0 follow with
  | Error (Ended ({ error = Some { kind; _ }; _ } as operation)) ->
      say "%s %s" (state operation) (Error_kind.to_string kind)
  | Ok _ -> fail "there was nothing to cancel"
  | Error error -> fail "%s" (Client.error_to_string error)

let () =
  let client = get (Client.connect ()) in
  (match Sys.argv with [| _; "talk"; named |] -> talk client named | _ -> outage client);
  Client.close client
