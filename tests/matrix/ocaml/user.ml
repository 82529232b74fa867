(* What a user's own program looks like: it must compile against the contract's package. *)
open Xensnap

let snapshot_before_upgrade () =
  let ( let* ) = Result.bind in
  let* client = Client.connect () in
  let name = Snapshot_name.of_string_exn "before-upgrade" in
  let create = Vm_snapshot_create.make ~domain:(Domain_ref.of_string_exn "web") ~name ~memory:Memory_mode.Live () in
  let request = Request.make ~contract:Client.contract ~op:(Vm_snapshot_create create) () in
  let progress (operation : Operation.t) = Printf.printf "%d of %d\n%!" operation.step operation.steps in
  Client.run client ~progress ~timeout:600.0 request

let () =
  if Array.length Sys.argv > 1 then
    match snapshot_before_upgrade () with
    | Ok { snapshot = Some id; _ } -> print_endline (Operation_id.to_string id)
    | Ok _ -> ()
    | Error error -> prerr_endline (Client.error_to_string error); exit 1
