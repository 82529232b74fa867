(** JSON as this package reads and writes it: a document is parsed whole, and what was written in it can be had again,
    byte for byte. *)

(** Why a document was refused, or a value cannot be written. *)
type error = {
  path : string;  (** Where: [disks\[1\].format]; empty for the whole document. *)
  problem : string;  (** What is wrong. *)
}

(** [path: problem]. *)
val error_to_string : error -> string

(** JSON of someone else, kept as it was written. *)
module Raw : sig
  type t = private string

  (** Takes a text, which must be JSON. *)
  val of_string : string -> (t, error) result

  val to_string : t -> string
end

(** {1 For codecs} *)

(** A value, and where in the text it stands. *)
type t = private { text : string; start : int; stop : int; value : value }

and value =
  | Null
  | Bool of bool
  | Integer of string  (** As it was written. *)
  | Decimal  (** With a fraction or an exponent. *)
  | String of text
  | Array of t list
  | Object of (text * t) list  (** In order; a key may be there twice. *)

(** A string; an error when it holds half of a surrogate pair, which is no text. *)
and text = (string, string) result

(** A step of a path. *)
type part = Key of string | Index of int

(** Innermost part last. Codecs raise it; {!catch} makes a result of it. *)
exception Refused of part list * string

val refuse : ('a, unit, string, 'b) format4 -> 'a

(** Adds a step to the path of what is refused. *)
val within : part -> (unit -> 'a) -> 'a

val catch : (unit -> 'a) -> ('a, error) result

(** Parses a document.
    @param depth most containers around a value
    @param halves whether a string may hold half of a surrogate pair, as long as nobody reads it *)
val parse : depth:int -> halves:bool -> string -> t

(** The bytes of a value. *)
val raw : t -> Raw.t

(** What a value is, for messages. *)
val describe : t -> string

(** Deepest nesting of containers in a text that is JSON. *)
val depth : string -> int

(** [; did you mean ..?] when one of the names is near, the names when they are few, or nothing. *)
val hint : string -> string list -> string

(** A text as a message shows it: quoted, escaped, cut. *)
val shown : string -> string

(** The characters of a text that is UTF-8. *)
val fold_chars : ('a -> int -> 'a) -> 'a -> string -> 'a

(** {1 Writing} *)

(** How a document is laid out. *)
type layout =
  | Compact
  | Indented  (** As yajl does: four spaces, upper-case escapes, a newline at the end. *)

type writer

(** What is written, as a text. *)
val to_text : layout -> (writer -> unit) -> string

val write_object : writer -> (unit -> unit) -> unit
val write_array : writer -> (unit -> unit) -> unit

(** Goes to the next member of the object at hand. *)
val write_key : writer -> string -> unit

(** Goes to the next element of the array at hand. *)
val write_element : writer -> unit

val write_string : writer -> string -> unit

(** Text as it is: a number, [true], {!Raw.t}. *)
val write_raw : writer -> string -> unit
