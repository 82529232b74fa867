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

(** Sends a request and follows it to its end, through restarts of xenstored and of the agent. [progress] is called with
    each state that is seen; states may be skipped. Without [timeout] (seconds) it waits as long as the agent lives. *)
val run :
  t ->
  ?id:Operation_id.t ->
  ?progress:(Operation.t -> unit) ->
  ?timeout:float ->
  Request.t ->
  (Operation.t, error) result

(** Follows an operation that was sent before, by this program or another. *)
val follow :
  t -> ?progress:(Operation.t -> unit) -> ?timeout:float -> Operation_id.t -> (Operation.t, error) result

(** An operation as it stands now. *)
val operation : t -> Operation_id.t -> (Operation.t option, error) result

(** All operations that xenstore shows. *)
val operations : t -> (Operation.t list, error) result

(** Says that the end of an operation has been seen: xenstore shows it no longer. *)
val acknowledge : t -> Operation_id.t -> (unit, error) result
