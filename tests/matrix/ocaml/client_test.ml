(* The client against a real xenstored and agent: client_test SOCKET [DOMAIN]. *)
open Xensnap

let fail format = Printf.ksprintf (fun why -> prerr_endline ("FAILED: " ^ why); exit 1) format
let get what = function Ok value -> value | Error error -> fail "%s: %s" what (Client.error_to_string error)

let () =
  let client = get "connect" (Client.connect ~path:Sys.argv.(1) ()) in
  let status = get "status" (Client.agent_status client) in
  if status.contract < Client.contract then fail "the agent speaks contract %d" status.contract;
  let request op = Request.make ~contract:Client.contract ~op () in
  let id = Operation_id.of_string_exn "nobody-sent-this" in
  (match Client.follow client id with
   | Error (No_operation _) -> ()
   | Ok _ | Error _ -> fail "an operation that nobody sent");
  (* Refused: with the kind, and words for people. *)
  let forget = Domain_forget.make ~domain:(Domain_ref.of_string_exn "no-such-domain") () in
  let id = Client.fresh_id () in
  (match Client.run client ~id ~timeout:30.0 (request (Domain_forget forget)) with
   | Error (Ended { state = Refused; error = Some { kind = No_domain; _ }; id = answered; _ } as error) ->
       if answered <> id then fail "another operation's end";
       print_endline (Client.error_to_string error)
   | Ok _ -> fail "there is such a domain"
   | Error error -> fail "refused otherwise: %s" (Client.error_to_string error));
  (* Followed once more, by its id; then acknowledged. *)
  (match Client.follow client id with
   | Error (Ended { state = Refused; _ }) -> ()
   | Ok _ | Error _ -> fail "an end that is forgotten");
  get "acknowledge" (Client.acknowledge client id);
  if get "operation" (Client.operation client id) <> None then fail "acknowledged, and there";
  if Array.length Sys.argv > 2 then (
    let domain = Domain_ref.of_string_exn Sys.argv.(2) in
    let name = Snapshot_name.of_string_exn "from-ocaml" in
    let states = ref [] in
    let progress (operation : Operation.t) = states := operation.state :: !states in
    let create = Disk_snapshot_create.make ~domain ~name () in
    let done_ = get "snapshot" (Client.run client ~progress ~timeout:120.0 (request (Disk_snapshot_create create))) in
    if done_.snapshot_name <> Some name then fail "another name";
    (match !states with
     | Operation_state.Done :: _ -> ()
     | _ -> fail "the end was not shown");
    if not (List.exists (fun (o : Operation.t) -> o.id = done_.id) (get "operations" (Client.operations client))) then
      fail "not among the operations";
    Printf.printf "snapshot %s of %s, %d states seen\n" (Snapshot_name.to_string name) Sys.argv.(2) (List.length !states));
  Client.close client;
  print_endline "client: ok"
