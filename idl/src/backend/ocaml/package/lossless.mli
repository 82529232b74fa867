(** libxl's JSON, every value whole: laid out as libxl on yajl writes it, and reads what libxl writes on yajl and on
    json-c. Where libxl drops a value without a word (a wrong JSON type, a key that is there twice) it is refused. *)

(** An unsigned number of 64 bits: print it with [%Lu], compare it with [Int64.unsigned_compare]. *)
type uint64 = int64

(** A UUID, lower-case. *)
module Uuid : sig
  type t = private string

  (** The one of zeros, which is none. *)
  val nil : t

  val of_string : string -> (t, string) result
  val to_string : t -> string
end

(** The address of a network card, as [00:16:3e:01:02:03]. *)
module Mac : sig
  type t = private string

  (** The one of zeros, which is none. *)
  val zero : t

  val of_string : string -> (t, string) result
  val to_string : t -> string
end

(** A set of small numbers: CPUs, NUMA nodes. *)
module Bitmap : sig
  type t = private int list  (** Ascending. *)

  val empty : t

  (** Those below 0 and above 2147483639 are left out: libxl counts bits in an [int]. *)
  val of_list : int list -> t

  val to_list : t -> int list
end

(** What a guest's CPUs say of themselves. *)
module Cpuid_policy_list : sig
  (** Registers have 32 characters, from bit 31 down: [1], [0], [x] default, [k] keep, [s] as is. *)
  type leaf = {
    leaf : int;
    subleaf : int option;
    eax : string option;
    ebx : string option;
    ecx : string option;
    edx : string option;
  }

  (** A model specific register: 64 characters, from bit 63 down. *)
  type msr = { index : int; policy : string }

  type t = { cpuid : leaf list; msr : msr list }

  val empty : t
end

(** Keys with a text or none, in order; a key may be there twice. *)
module Key_value_list : sig
  type t = (string * string option) list
end

(** Words of CPU capabilities. *)
module Hwcap : sig
  type t = private int list  (** Eight of 32 bits. *)

  val zero : t

  (** Words beyond those given are 0, those beyond the eighth are left out. *)
  val of_list : int list -> t
end

(** The generation id that a Windows guest sees. *)
module Ms_vm_genid : sig
  type t = private string  (** 16 bytes. *)

  val zero : t
  val of_bytes : string -> (t, string) result
end

(** {1 For codecs} *)

val of_json : 'a Codec.t -> string -> ('a, Json.error) result
val to_json : 'a Codec.t -> 'a -> (string, Json.error) result
val bool : bool Codec.t

(** Of at most 32 bits. *)
val int : bits:int -> signed:bool -> int Codec.t

val int64 : int64 Codec.t
val uint64 : uint64 Codec.t
val string : string option Codec.t
val string_list : string list Codec.t
val defbool : bool option Codec.t
val uuid : Uuid.t Codec.t
val mac : Mac.t Codec.t
val bitmap : Bitmap.t Codec.t
val cpuid_policy_list : Cpuid_policy_list.t Codec.t
val key_value_list : Key_value_list.t Codec.t
val hwcap : Hwcap.t Codec.t
val ms_vm_genid : Ms_vm_genid.t Codec.t
val array : 'a Codec.t -> 'a list Codec.t

(** An enumeration: its name, its values' names in lower case with their numbers. *)
val enum : string -> (string * int) list -> (int -> 'a) -> ('a -> int) -> 'a Codec.t

(** The number of a name, whatever its case. *)
val number_of : (string * int) list -> string -> int option

(** An arm without fields. *)
val empty : unit Codec.t

(** An object that is being read. *)
type members

val obj : known:string list -> read:(members -> 'a) -> write:(Json.writer -> 'a -> unit) -> 'a Codec.t

(** A field; [initial] when it is not there. *)
val field : members -> string -> 'a Codec.t -> initial:'a -> 'a

type 'a arm

val arm : string -> 'a Codec.t -> ('a -> 'b) -> 'b arm

(** At most one of the arms; [initial] when none is there. *)
val union : members -> 'a arm list -> initial:'a -> 'a

(** A field that is left out while it is [initial]. *)
val put : Json.writer -> string -> 'a Codec.t -> initial:'a -> 'a -> unit

(** A field that is always written. *)
val put_always : Json.writer -> string -> 'a Codec.t -> 'a -> unit
