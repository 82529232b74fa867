(** SHA-256 (FIPS 180-4), which the standard library does not have. *)

(** The sum of a text, as 64 lower-case hexadecimal digits. *)
val hex : string -> string
