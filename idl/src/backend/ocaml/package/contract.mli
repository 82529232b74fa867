(** The contract's JSON: compact, keys in order, limits checked both ways; what an open type does not know is kept and
    written again. *)

(** Most bytes of a document. *)
val document_max : int

(** Most bytes of a value in xenstore. *)
val xenstore_max : int

(** Fields that a newer version wrote, in order: kept and written again. *)
type extra = (string * Json.Raw.t) list

(** An instant in UTC, to the nanosecond, of the years 1 to 9999. *)
module Timestamp : sig
  type t = private { seconds : int;  (** Since 1970, rounded down. *) nanoseconds : int  (** From 0 to 999999999. *) }

  (** [None] outside of the years 1 to 9999. *)
  val make : seconds:int -> nanoseconds:int -> t option

  (** RFC 3339 in UTC with nine digits, as [2026-11-23T10:20:30.123456789Z]. *)
  val of_string : string -> (t, string) result

  val to_string : t -> string

  (** Seconds since 1970, as [Unix.gettimeofday] has them. *)
  val to_float : t -> float
end

(** A text of a certain form. *)
module type TEXT = sig
  type t = private string

  (** Checks a text; the error says what is wrong with it. *)
  val of_string : string -> (t, string) result

  (** The same.
      @raise Invalid_argument when it is not one. *)
  val of_string_exn : string -> t

  val to_string : t -> string
end

(** A UUID: 32 lower-case hex digits with dashes, as 8-4-4-4-12. *)
module Uuid : TEXT

(** An absolute path without [..]. *)
module Path : TEXT

(** {1 For codecs} *)

(** Characters, as ranges of their numbers, and how many of them. *)
type part = { ranges : (int * int) list; least : int; most : int }

(** A text matches when its characters are those of the parts, one part after the other. *)
type pattern = { text : string; parts : part list }

module Text (_ : sig
  val name : string
  val min : int
  val max : int
  val pattern : pattern
end) : TEXT

val of_json : 'a Codec.t -> string -> ('a, Json.error) result
val to_json : 'a Codec.t -> 'a -> (string, Json.error) result
val bool : bool Codec.t
val int : int -> int -> int Codec.t
val string : string Codec.t
val raw : Json.Raw.t Codec.t
val timestamp : Timestamp.t Codec.t
val uuid : Uuid.t Codec.t
val path : Path.t Codec.t

(** A named text. *)
val text : (string -> ('a, string) result) -> ('a -> string) -> 'a Codec.t

(** A text that its field narrows. *)
val limited : ?min:int -> ?max:int -> ?pattern:pattern -> ('a -> string) -> 'a Codec.t -> 'a Codec.t

val array : ?min:int -> ?max:int -> 'a Codec.t -> 'a list Codec.t

(** The values by their names; [unknown] makes a value of another name, where there may be one. *)
val enum : string -> (string * 'a) list -> ?unknown:(string -> 'a) -> ('a -> string) -> 'a Codec.t

(** [{}] *)
val empty : unit Codec.t

(** What an arm without fields holds in an open union. *)
val extras : extra Codec.t

(** An object that is being read. *)
type members

(** [known]: every key that the struct knows. *)
val obj :
  known:string list -> read:(members -> 'a) -> write:(Json.writer -> 'a -> unit) -> 'a Codec.t

val required : members -> string -> 'a Codec.t -> 'a
val optional : members -> string -> 'a Codec.t -> 'a option
val default : members -> string -> 'a Codec.t -> 'a -> 'a

type 'a arm

val arm : string -> 'a Codec.t -> ('a -> 'b) -> 'b arm

(** Exactly one of the arms, or an unknown one of that key where there may be one. *)
val union : members -> string -> ?unknown:(string -> Json.Raw.t -> 'a) -> 'a arm list -> 'a

(** What was not read. *)
val extra : members -> extra

(** Refuses what the struct does not know. *)
val no_extra : members -> unit

val put : Json.writer -> string -> 'a Codec.t -> 'a -> unit
val put_option : Json.writer -> string -> 'a Codec.t -> 'a option -> unit
val put_unknown_arm : Json.writer -> string -> known:string list -> string -> Json.Raw.t -> unit
val put_extra : Json.writer -> known:string list -> extra -> unit
