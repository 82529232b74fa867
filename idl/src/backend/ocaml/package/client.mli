(** Sends requests to this host's agent through xenstore, and follows their operations.

    {[
      let ( let* ) = Result.bind in
      let* client = Client.connect () in
      let op = Request.Op.Vm_snapshot_create (Vm_snapshot_create.make ~domain:(Domain_ref.of_string_exn "web") ()) in
      Client.run client (Request.make ~contract:Client.contract ~op ())
    ]} *)

open Types

type error =
  | Xenstore of Xenstore.error
  | Encode of Json.error  (** The request is not one that the contract allows; nothing was sent. *)
  | Decode of { path : string; error : Json.error }  (** A node does not hold what the contract says. *)
  | No_agent
  | Stale_agent of { seconds : float }  (** Since its last heartbeat. *)
  | No_operation of Operation_id.t  (** Never sent, acknowledged, or ended too long ago. *)
  | Timeout of { id : Operation_id.t; last : Operation.t option }  (** The operation goes on. *)
  | Not_ended of Operation_id.t  (** It cannot be acknowledged yet. *)
  | Result of { path : string; problem : string }  (** The file of a result cannot be read, or is another. *)
  | Ended of Operation.t  (** It failed, was cancelled or refused. *)

(** In words, with what to do about it. *)
val error_to_string : error -> string

(** The version of the contract that this package speaks. *)
val contract : int

(** An agent whose heartbeat is older has stopped or hangs, in seconds. *)
val heartbeat_max : float

type t

(** [path] is that of xenstored's socket; see {!Xenstore.connect}. *)
val connect : ?path:string -> unit -> (t, error) result

val close : t -> unit

(** The agent's status, if it lives. *)
val agent_status : t -> (Agent_status.t, error) result

(** An id that nobody has: a UUID. *)
val fresh_id : unit -> Operation_id.t

(** Writes a request, whether an agent lives or not. The same id and request again are no second operation. *)
val send : t -> ?id:Operation_id.t -> Request.t -> (Operation_id.t, error) result

(** {1 An operation to its end} *)

(** An operation that is being followed, through restarts of xenstored and of the agent. *)
type follow

(** Sends a request, when an agent lives, and follows its operation. *)
val start : t -> ?id:Operation_id.t -> Request.t -> (follow, error) result

(** Follows an operation that was sent before, by this program or another. *)
val resume : t -> Operation_id.t -> (follow, error) result

(** The operation's id. *)
val id : follow -> Operation_id.t

(** The operation at its end, when it was done; else {!Ended}, or what keeps from knowing. [progress] is called with each
    state that is seen; states may be skipped. Without [timeout] (seconds) it waits as long as the agent lives. After
    {!Timeout} and {!Stale_agent} it can be called again. *)
val result : ?progress:(Operation.t -> unit) -> ?timeout:float -> follow -> (Operation.t, error) result

(** {!start} and {!result}. *)
val run :
  t ->
  ?id:Operation_id.t ->
  ?progress:(Operation.t -> unit) ->
  ?timeout:float ->
  Request.t ->
  (Operation.t, error) result

(** {1 What xenstore shows} *)

(** An operation as it stands now. *)
val operation : t -> Operation_id.t -> (Operation.t option, error) result

(** All operations that xenstore shows. *)
val operations : t -> (Operation.t list, error) result

(** Says that the end of an operation has been seen: xenstore shows it no longer. *)
val acknowledge : t -> Operation_id.t -> (unit, error) result

(** A result that is too large for xenstore (a plan, a long error): its size and SHA-256 are checked. *)
val read_result : Result_file.t -> (string, error) result
