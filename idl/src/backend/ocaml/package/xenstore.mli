(** A connection to xenstored, over its socket or the kernel's device. Not to be shared between threads. *)

type error =
  | Unreachable of { path : string; why : string }
  | Closed of string  (** The daemon or the kernel broke off the connection. *)
  | Refused of { request : string; path : string; errno : string }
  | No_answer of { request : string; path : string }

exception Error of error

val error_to_string : error -> string

type t

(** [$XENSTORED_PATH], the daemon's socket, or [/dev/xen/xenbus], unless a path is given.
    @raise Error *)
val connect : ?path:string -> unit -> t

(** Connects again, when the daemon is back within so many seconds; its watches are to be set again.
    @raise Error *)
val reconnect : t -> within:float -> unit

val close : t -> unit

(** {1 Requests}

    They raise {!Error}. A node that is not there is [None] or [false]. *)

val read : t -> string -> string option
val write : t -> string -> string -> unit
val rm : t -> string -> bool
val directory : t -> string -> string list

(** A folder that only dom0 may read and write; made when it is not there. *)
val private_folder : t -> string -> unit

val watch : t -> string -> token:string -> unit
val unwatch : t -> string -> token:string -> unit

(** The next event, as path and token, or [None] after so many seconds. Events are hints to look again. *)
val wait : t -> seconds:float -> (string * string) option
