type error =
  | Unreachable of { path : string; why : string }
  | Closed of string
  | Refused of { request : string; path : string; errno : string }
  | No_answer of { request : string; path : string }

exception Error of error

let error_to_string = function
  | Unreachable { path; why } -> Printf.sprintf "cannot reach xenstored at %s: %s; is it running, and are you root?" path why
  | Closed why -> Printf.sprintf "xenstored is gone: %s" why
  | Refused { request; path; errno } -> Printf.sprintf "xenstored refuses to %s %s: %s" request path errno
  | No_answer { request; path } -> Printf.sprintf "xenstored does not answer (%s %s)" request path

(* xen/include/public/io/xs_wire.h *)
type kind =
  | Directory
  | Read
  | Get_perms
  | Watch
  | Unwatch
  | Transaction_start
  | Transaction_end
  | Write
  | Mkdir
  | Rm
  | Set_perms

let number = function
  | Directory -> 1
  | Read -> 2
  | Get_perms -> 3
  | Watch -> 4
  | Unwatch -> 5
  | Transaction_start -> 6
  | Transaction_end -> 7
  | Write -> 11
  | Mkdir -> 12
  | Rm -> 13
  | Set_perms -> 14

let name = function
  | Directory -> "list"
  | Read -> "read"
  | Get_perms -> "read the permissions of"
  | Watch -> "watch"
  | Unwatch -> "stop to watch"
  | Transaction_start -> "begin a transaction"
  | Transaction_end -> "end a transaction"
  | Write -> "write"
  | Mkdir -> "make"
  | Rm -> "remove"
  | Set_perms -> "set the permissions of"

let watch_event = 15
let failed = 16
let payload_max = 4096
let header_size = 16

(* How long the daemon may take for an answer. *)
let patience = 30.0

type t = {
  path : string;
  mutable fd : Unix.file_descr;
  mutable id : int;
  events : (string * string) Queue.t;
}

let sockets = [ "/run/xenstored/socket"; "/var/run/xenstored/socket"; "/dev/xen/xenbus" ]

let default_path () =
  match Sys.getenv_opt "XENSTORED_PATH" with
  | Some path -> path
  | None -> ( match List.find_opt Sys.file_exists sockets with Some path -> path | None -> List.hd sockets)

(* The daemon's backlog is one connection long: a busy one says EAGAIN. *)
let open_path path ~within =
  let until = Unix.gettimeofday () +. within in
  let rec attempt again =
    match Unix.stat path with
    | { st_kind = Unix.S_SOCK; _ } -> (
        let fd = Unix.socket ~cloexec:true Unix.PF_UNIX Unix.SOCK_STREAM 0 in
        try Unix.connect fd (Unix.ADDR_UNIX path); fd
        with Unix.Unix_error (why, _, _) ->
          Unix.close fd;
          later again why)
    | _ -> Unix.openfile path [ Unix.O_RDWR; Unix.O_CLOEXEC ] 0
    | exception Unix.Unix_error (why, _, _) -> later again why
  and later again why =
    if Unix.gettimeofday () < until && (again || why = Unix.EAGAIN) then (Unix.sleepf 0.02; attempt again)
    else raise (Error (Unreachable { path; why = Unix.error_message why }))
  in
  try attempt (within > 1.0) with Unix.Unix_error (why, _, _) -> raise (Error (Unreachable { path; why = Unix.error_message why }))

let connect ?path () =
  let path = match path with Some path -> path | None -> default_path () in
  { path; fd = open_path path ~within:1.0; id = 0; events = Queue.create () }

let close t = try Unix.close t.fd with Unix.Unix_error _ -> ()

let reconnect t ~within =
  close t;
  Queue.clear t.events;
  t.fd <- open_path t.path ~within:(max within 1.1)

let closed why = raise (Error (Closed why))

let rec readable t until =
  let left = until -. Unix.gettimeofday () in
  match Unix.select [ t.fd ] [] [] (max left 0.0) with
  | [], _, _ -> false
  | _ -> true
  | exception Unix.Unix_error (Unix.EINTR, _, _) -> readable t until

let receive t bytes length =
  let rec go from =
    if from < length then
      match Unix.read t.fd bytes from (length - from) with
      | 0 -> closed "end of the connection"
      | n -> go (from + n)
      | exception Unix.Unix_error (Unix.EINTR, _, _) -> go from
      | exception Unix.Unix_error (why, _, _) -> closed (Unix.error_message why)
  in
  go 0

let texts payload = List.filter (fun text -> text <> "") (String.split_on_char '\x00' payload)

(* A whole message: its kind, its request's number, what it holds. *)
let message t =
  let header = Bytes.create header_size in
  receive t header header_size;
  let word i = Int32.to_int (Bytes.get_int32_le header (4 * i)) land 0xffffffff in
  let length = word 3 in
  if length > 65536 then closed "a message that is too long";
  let payload = Bytes.create length in
  receive t payload length;
  (word 0, word 1, Bytes.to_string payload)

let keep_event t payload =
  match texts payload with
  | path :: token :: _ -> Queue.push (path, token) t.events
  | _ -> ()

let send t bytes =
  let length = Bytes.length bytes in
  let rec go from =
    if from < length then
      match Unix.write t.fd bytes from (length - from) with
      | n -> go (from + n)
      | exception Unix.Unix_error (Unix.EINTR, _, _) -> go from
      | exception Unix.Unix_error (why, _, _) -> closed (Unix.error_message why)
  in
  go 0

(* A daemon that is gone is an error of ours, not the end of this process. *)
let without_sigpipe f =
  let before = Sys.signal Sys.sigpipe Sys.Signal_ignore in
  Fun.protect ~finally:(fun () -> Sys.set_signal Sys.sigpipe before) f

let request ?(transaction = 0) t kind path payload =
  if String.length payload > payload_max then
    raise (Error (Refused { request = name kind; path; errno = "E2BIG" }));
  t.id <- (t.id + 1) land 0x3fffffff;
  let id = t.id in
  let bytes = Bytes.create (header_size + String.length payload) in
  List.iteri
    (fun i word -> Bytes.set_int32_le bytes (4 * i) (Int32.of_int word))
    [ number kind; id; transaction; String.length payload ];
  Bytes.blit_string payload 0 bytes header_size (String.length payload);
  without_sigpipe (fun () -> send t bytes);
  let until = Unix.gettimeofday () +. patience in
  let rec answer () =
    if not (readable t until) then raise (Error (No_answer { request = name kind; path }));
    match message t with
    | what, _, payload when what = watch_event -> keep_event t payload; answer ()
    | _, other, _ when other <> id -> answer ()
    | what, _, payload when what = failed ->
        let errno = String.concat "" (texts payload) in
        raise (Error (Refused { request = name kind; path; errno }))
    | _, _, payload -> payload
  in
  answer ()

let z text = text ^ "\x00"

let optional f =
  match f () with value -> Some value | exception Error (Refused { errno = "ENOENT"; _ }) -> None

let read t path = optional (fun () -> request t Read path (z path))
let write t path value = ignore (request t Write path (z path ^ value))
let rm t path = optional (fun () -> request t Rm path (z path)) <> None

let directory t path =
  match optional (fun () -> request t Directory path (z path)) with Some names -> texts names | None -> []

let watch t path ~token = ignore (request t Watch path (z path ^ z token))
let unwatch t path ~token = ignore (request t Unwatch path (z path ^ z token))

(* Owned by dom0, nothing for others. *)
let private_permissions = "n0"

let private_folder t path =
  let make () =
    let transaction = int_of_string (String.concat "" (texts (request t Transaction_start path "\x00"))) in
    match
      ignore (request ~transaction t Mkdir path (z path));
      ignore (request ~transaction t Set_perms path (z path ^ z private_permissions))
    with
    | () -> ignore (request ~transaction t Transaction_end path (z "T"))
    | exception e ->
        (try ignore (request ~transaction t Transaction_end path (z "F")) with Error _ -> ());
        raise e
  in
  let rec attempt left =
    try make () with Error (Refused { errno = "EAGAIN"; _ }) when left > 0 -> attempt (left - 1)
  in
  match optional (fun () -> request t Get_perms path (z path)) with
  | Some permissions when texts permissions = [ private_permissions ] -> ()
  | _ -> attempt 20

let wait t ~seconds =
  let until = Unix.gettimeofday () +. seconds in
  let rec go () =
    if not (Queue.is_empty t.events) then Some (Queue.pop t.events)
    else if not (readable t until) then None
    else
      match message t with
      | what, _, payload -> if what = watch_event then keep_event t payload; go ()
  in
  go ()
