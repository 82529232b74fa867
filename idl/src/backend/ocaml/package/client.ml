open Types

type error =
  | Xenstore of Xenstore.error
  | Encode of Json.error
  | Decode of { path : string; error : Json.error }
  | No_agent
  | Stale_agent of { seconds : float }
  | No_operation of Operation_id.t
  | Timeout of { id : Operation_id.t; last : Operation.t option }
  | Not_ended of Operation_id.t
  | Result of { path : string; problem : string }
  | Ended of Operation.t

exception Failed of error

let fail error = raise (Failed error)

let ended_to_string (operation : Operation.t) =
  let state = Operation_state.to_string operation.state in
  match operation.error with
  | None -> Printf.sprintf "the operation %s ended as %s" (Operation_id.to_string operation.id) state
  | Some { kind; message; hint; _ } ->
      let hint = match hint with Some hint -> "; " ^ Line.to_string hint | None -> "" in
      Printf.sprintf "%s: %s: %s%s" state (Error_kind.to_string kind) (Line.to_string message) hint

let error_to_string = function
  | Xenstore error -> Xenstore.error_to_string error
  | Encode error -> "the request cannot be written: " ^ Json.error_to_string error
  | Decode { path; error } ->
      Printf.sprintf "%s in xenstore is not understood (%s); is the agent newer than this program?" path
        (Json.error_to_string error)
  | No_agent -> "no agent runs on this host; start xensnapd"
  | Stale_agent { seconds } -> Printf.sprintf "the agent has not been heard of for %.0f s; restart xensnapd" seconds
  | No_operation id ->
      Printf.sprintf "there is no operation %s; it was never sent, or ended and was forgotten" (Operation_id.to_string id)
  | Timeout { id; _ } ->
      Printf.sprintf "the operation %s has not ended in time; it goes on: follow it, or cancel it"
        (Operation_id.to_string id)
  | Not_ended id -> Printf.sprintf "the operation %s has not ended; cancel it, or wait" (Operation_id.to_string id)
  | Result { path; problem } -> Printf.sprintf "the result %s: %s; results are readable by root in dom0 only" path problem
  | Ended operation -> ended_to_string operation

let contract = 1
let heartbeat_max = 30.0

type t = { xs : Xenstore.t }

let catch f =
  match f () with
  | value -> Ok value
  | exception Failed error -> Error error
  | exception Xenstore.Error error -> Error (Xenstore error)

let connect ?path () = catch (fun () -> { xs = Xenstore.connect ?path () })
let close t = Xenstore.close t.xs
let operation_path id = Operation.xenstore_path ~id:(Operation_id.to_string id)
let request_path id = Request.xenstore_path ~id:(Operation_id.to_string id)

let decode path of_json text =
  if String.length text > Contract.xenstore_max then
    fail (Decode { path; error = { path = ""; problem = Printf.sprintf "%d bytes" (String.length text) } });
  match of_json text with Ok value -> value | Error error -> fail (Decode { path; error })

let live_agent t =
  let path = Agent_status.xenstore_path in
  match Xenstore.read t.xs path with
  | None -> fail No_agent
  | Some text ->
      let status = decode path Agent_status.of_json text in
      let seconds = Unix.gettimeofday () -. Contract.Timestamp.to_float status.heartbeat_at in
      if seconds > heartbeat_max then fail (Stale_agent { seconds });
      status

let agent_status t = catch (fun () -> live_agent t)

let fresh_id () =
  let bytes = Bytes.create 16 in
  let random = open_in_bin "/dev/urandom" in
  Fun.protect ~finally:(fun () -> close_in random) (fun () -> really_input random bytes 0 16);
  let set i keep bits = Bytes.set_uint8 bytes i (Bytes.get_uint8 bytes i land keep lor bits) in
  set 6 0x0f 0x40;
  set 8 0x3f 0x80;
  let hex from n = String.concat "" (List.init n (fun i -> Printf.sprintf "%02x" (Bytes.get_uint8 bytes (from + i)))) in
  Operation_id.of_string_exn (String.concat "-" [ hex 0 4; hex 4 2; hex 6 2; hex 8 2; hex 10 6 ])

let encode request =
  match Request.to_json request with
  | Ok text when String.length text > Contract.xenstore_max ->
      fail (Encode { path = ""; problem = Printf.sprintf "%d bytes; at most %d" (String.length text) Contract.xenstore_max })
  | Ok text -> text
  | Error error -> fail (Encode error)

(* The agent makes the folder; but a request may come before the agent. *)
let put t id text =
  Xenstore.private_folder t.xs Request.xenstore_folder;
  Xenstore.write t.xs (request_path id) text

let send t ?id request =
  catch (fun () ->
      let id = match id with Some id -> id | None -> fresh_id () in
      put t id (encode request);
      id)

let is_end (operation : Operation.t) =
  match operation.state with
  | Done | Failed | Cancelled | Refused -> true
  | Queued | Running | Undoing | Unknown _ -> false

type follow = {
  client : t;
  id : Operation_id.t;
  sent : string option;  (* The request, if it was sent here. *)
  mutable watched : bool;
  mutable connected : bool;
  mutable lost : bool;  (* xenstored died: the request may have died with it. *)
  mutable seen : (string * Operation.t) option;
  mutable alive : float;  (* When the agent was last known to live. *)
}

let id f = f.id
let token = "xensnap"

(* Reads the operation; it, if it is another than last time. *)
let look f =
  let xs = f.client.xs and path = operation_path f.id in
  match Xenstore.read xs path with
  | Some text ->
      f.alive <- Unix.gettimeofday ();
      f.lost <- false;
      if (match f.seen with Some (before, _) -> before = text | None -> false) then None
      else
        let operation = decode path Operation.of_json text in
        f.seen <- Some (text, operation);
        Some operation
  | None ->
      if f.seen <> None && not f.lost then fail (No_operation f.id);
      (* The same bytes under the same id are the same operation. *)
      let resend text = if Xenstore.read xs (request_path f.id) = None then put f.client f.id text in
      if f.lost then Option.iter resend f.sent;
      None

let check_agent f =
  match live_agent f.client with
  | _ -> f.alive <- Unix.gettimeofday ()
  (* It may be restarting. *)
  | exception Failed (No_agent | Stale_agent _) when Unix.gettimeofday () -. f.alive < heartbeat_max -> ()

let stop f =
  if f.watched && f.connected then (
    f.watched <- false;
    try Xenstore.unwatch f.client.xs (operation_path f.id) ~token with Xenstore.Error _ -> ())

(* One look, and a wait for the next occasion. *)
let step f ~progress ~until =
  let xs = f.client.xs in
  let left () = until -. Unix.gettimeofday () in
  if not f.connected then (
    Xenstore.reconnect xs ~within:(max 0.1 (min (left ()) heartbeat_max));
    f.connected <- true;
    f.watched <- false);
  if not f.watched then Xenstore.watch xs (operation_path f.id) ~token;
  f.watched <- true;
  match look f with
  | Some operation ->
      progress operation;
      if is_end operation then Some operation else None
  | None ->
      if left () <= 0.0 then fail (Timeout { id = f.id; last = Option.map snd f.seen });
      if Xenstore.wait xs ~seconds:(max 0.0 (min (left ()) (heartbeat_max /. 3.0))) = None then check_agent f;
      None

let rec to_end f ~progress ~until =
  match f.seen with
  | Some (_, operation) when is_end operation -> operation
  | _ -> (
      match step f ~progress ~until with
      | Some operation -> stop f; operation
      | None -> to_end f ~progress ~until
      | exception Xenstore.Error (Closed _) ->
          f.connected <- false;
          f.lost <- true;
          to_end f ~progress ~until)

let result ?(progress = ignore) ?timeout f =
  catch (fun () ->
      let until = match timeout with Some seconds -> Unix.gettimeofday () +. seconds | None -> infinity in
      let operation = to_end f ~progress ~until in
      match operation.state with Done -> operation | _ -> fail (Ended operation))

let following client id sent =
  let alive = Unix.gettimeofday () in
  { client; id; sent; watched = false; connected = true; lost = false; seen = None; alive }

let start t ?id request =
  catch (fun () ->
      let id = match id with Some id -> id | None -> fresh_id () in
      let text = encode request in
      ignore (live_agent t);
      put t id text;
      following t id (Some text))

let resume t id =
  catch (fun () ->
      let there path = Xenstore.read t.xs path <> None in
      (* The agent removes the request after it wrote the operation, so one of the two is always there. *)
      if not (there (operation_path id) || there (request_path id) || there (operation_path id)) then
        fail (No_operation id);
      following t id None)

let run t ?id ?progress ?timeout request =
  Stdlib.Result.bind (start t ?id request) (fun f -> result ?progress ?timeout f)

let read_operation t id =
  let path = operation_path id in
  Option.map (decode path Operation.of_json) (Xenstore.read t.xs path)

let operation t id = catch (fun () -> read_operation t id)

let operations t =
  catch (fun () ->
      let one name =
        match Operation_id.of_string name with Ok id -> read_operation t id | Error _ -> None
      in
      List.filter_map one (Xenstore.directory t.xs Operation.xenstore_folder))

let acknowledge t id =
  catch (fun () ->
      match read_operation t id with
      | Some operation when not (is_end operation) -> fail (Not_ended id)
      | Some _ | None -> ignore (Xenstore.rm t.xs (operation_path id)))

let read_result (file : Result_file.t) =
  let path = Contract.Path.to_string file.path in
  let wrong problem = fail (Result { path; problem }) in
  let read () =
    (* Looked at before it is opened: opening a FIFO would wait for ever. *)
    if (Unix.lstat path).st_kind <> Unix.S_REG then wrong "it is no regular file";
    let channel = open_in_bin path in
    Fun.protect ~finally:(fun () -> close_in channel) (fun () ->
        if in_channel_length channel <> file.size then wrong "its size is another";
        really_input_string channel file.size)
  in
  catch (fun () ->
      if file.size > Contract.document_max then wrong "it is larger than any result";
      let text =
        try read () with
        | Sys_error why -> wrong why
        | Unix.Unix_error (why, _, _) -> wrong (Unix.error_message why)
        | End_of_file -> wrong "its size is another"
      in
      if Sha256_digest.hex text <> Types.Sha256.to_string file.sha256 then wrong "its SHA-256 is another";
      text)
