(** What the types of this package have in common. *)

(** How values of a type are read and written. *)
type 'a t = { read : Json.t -> 'a; write : Json.writer -> 'a -> unit }

(** A type of which only the name is known. *)
type any

(** Its name in the IDL. *)
val name : any -> string

(** Reads a document and writes it again, in the one form that its value has. *)
val recode : any -> string -> (string, Json.error) result

(** {1 For codecs} *)

val any : string -> (string -> ('a, Json.error) result) -> ('a -> (string, Json.error) result) -> any
