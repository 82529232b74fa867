open Codec

type uint64 = int64

let wrong json expected = Json.refuse "%s where %s belongs" (Json.describe json) expected

(* Nobody nests deeper on purpose, and the stack has an end. *)
let depth_max = 10_000

let of_json codec document =
  Json.catch (fun () -> codec.read (Json.parse ~depth:depth_max ~halves:false document))

let to_json codec value = Json.catch (fun () -> Json.to_text Indented (fun w -> codec.write w value))

(* Scalars *)

let bool =
  {
    read = (fun json -> match json.value with Bool b -> b | _ -> wrong json "a truth value");
    write = (fun w b -> Json.write_raw w (string_of_bool b));
  }

(* The largest integer of 128 bits: what is not below it is no integer to anybody. *)
let too_large = "170141183460469231731687303715884105727"

let digits (json : Json.t) =
  match json.value with
  | Integer digits ->
      let negative = digits.[0] = '-' in
      let magnitude = if negative then String.sub digits 1 (String.length digits - 1) else digits in
      let n = String.length magnitude and most = String.length too_large in
      if n > most || (n = most && magnitude >= too_large) then Json.refuse "a number that is too large";
      (negative, magnitude)
  | _ -> wrong json "an integer"

let signed (negative, magnitude) = (if negative then "-" else "") ^ magnitude
let two_31 = 1 lsl 31
let two_32 = 1 lsl 32

let int ~bits ~signed:has_sign =
  let least = if has_sign then -(1 lsl (bits - 1)) else 0 in
  let most = if has_sign then (1 lsl (bits - 1)) - 1 else (1 lsl bits) - 1 in
  let read json =
    let text = signed (digits json) in
    let whole = function
      (* libxl on json-c casts 32 bits to int, and then refuses to read that. *)
      | Some i when bits = 32 && (not has_sign) && i < 0 && i >= -two_31 -> Some (i + two_32)
      | other -> other
    in
    match whole (int_of_string_opt text) with
    | Some i when i >= least && i <= most -> i
    | _ -> Json.refuse "%s is not from %d to %d" text least most
  in
  let write w i =
    if i < least || i > most then Json.refuse "%d is not from %d to %d" i least most;
    Json.write_raw w (string_of_int i)
  in
  { read; write }

let int64 =
  let read json =
    let text = signed (digits json) in
    match Int64.of_string_opt text with
    | Some i -> i
    | None -> Json.refuse "%s is not from %Ld to %Ld" text Int64.min_int Int64.max_int
  in
  { read; write = (fun w i -> Json.write_raw w (Int64.to_string i)) }

let uint64 =
  let read json =
    let negative, magnitude = digits json in
    let value =
      if not negative then Int64.of_string_opt ("0u" ^ magnitude)
      else
        match Int64.of_string_opt ("-" ^ magnitude) with
        | Some 0L -> Some 0L
        (* libxl on yajl prints some as signed; what an int can be, json-c's libxl cut. *)
        | Some i when i < Int64.of_int (-two_31) -> Some i
        | _ -> None
    in
    match value with
    | Some i -> i
    | None -> Json.refuse "%s is not from 0 to 18446744073709551615" (signed (negative, magnitude))
  in
  { read; write = (fun w i -> Json.write_raw w (Printf.sprintf "%Lu" i)) }

(* What C cuts to 32 bits. *)
let word json =
  let negative, magnitude = digits json in
  let add low c = ((low * 10) + Char.code c - Char.code '0') mod two_32 in
  let low = String.fold_left add 0 magnitude in
  if negative && low > 0 then two_32 - low else low

let text (json : Json.t) =
  match json.value with
  | String (Ok text) -> text
  | String (Error why) -> Json.refuse "%s" why
  | _ -> wrong json "a string"

let string =
  {
    read = (fun json -> match json.value with Null -> None | _ -> Some (text json));
    write =
      (fun w value ->
        match value with Some text -> Json.write_string w text | None -> Json.write_raw w "null");
  }

(* Arrays *)

let elements read (json : Json.t) =
  match json.value with
  | Array list -> List.mapi (fun i one -> Json.within (Index i) (fun () -> read one)) list
  | _ -> wrong json "an array"

let write_elements write w list =
  let one i value = Json.within (Index i) (fun () -> Json.write_element w; write w value) in
  Json.write_array w (fun () -> List.iteri one list)

let array element = { read = elements element.read; write = write_elements element.write }
let string_list = { read = elements text; write = write_elements Json.write_string }
let write_int w i = Json.write_raw w (string_of_int i)

(* Objects *)

type members = { places : (string, Json.t) Hashtbl.t }

let members known (json : Json.t) =
  match json.value with
  | Object list ->
      let places = Hashtbl.create 16 in
      let one (key, value) =
        match key with
        | Ok key when List.mem key known ->
            if Hashtbl.mem places key then Json.refuse "%s is there twice" (Json.shown key);
            Hashtbl.add places key value
        | _ -> ()
      in
      List.iter one list;
      { places }
  | _ -> wrong json "an object"

let obj ~known ~read ~write =
  {
    read = (fun json -> read (members known json));
    write = (fun w value -> Json.write_object w (fun () -> write w value));
  }

let empty = obj ~known:[] ~read:ignore ~write:(fun _ () -> ())

let find o key read =
  Option.map (fun json -> Json.within (Key key) (fun () -> read json)) (Hashtbl.find_opt o.places key)

let field o key codec ~initial = Option.value (find o key codec.read) ~default:initial

type 'a arm = { key : string; of_members : members -> 'a option }

let arm key codec wrap = { key; of_members = (fun o -> Option.map wrap (find o key codec.read)) }

let union o arms ~initial =
  let one arm = Option.map (fun value -> (arm.key, value)) (arm.of_members o) in
  match List.filter_map one arms with
  | [] -> initial
  | [ (_, value) ] -> value
  | (a, _) :: (b, _) :: _ -> Json.refuse "%S and %S are two keys of one union; libxl aborts on that" a b

let put_always w key codec value =
  Json.write_key w key;
  Json.within (Key key) (fun () -> codec.write w value)

let put w key codec ~initial value = if value <> initial then put_always w key codec value

(* Enumerations *)

let number_of values name = List.assoc_opt (String.lowercase_ascii name) values

let enum name values of_int to_int =
  let read (json : Json.t) =
    match json.value with
    | Integer _ ->
        let text = signed (digits json) in
        (match int_of_string_opt text with
         | Some i when i >= -two_31 && i < two_31 -> of_int i
         | _ -> Json.refuse "%s is no number of C's int" text)
    | String _ -> (
        let text = text json in
        match number_of values text with
        | Some i -> of_int i
        | None -> Json.refuse "%s is no %s%s" (Json.shown text) name (Json.hint text (List.map fst values)))
    | _ -> wrong json "a string or an integer"
  in
  let write w value =
    let number = to_int value in
    match List.find_opt (fun (_, n) -> n = number) values with
    | Some (name, _) -> Json.write_string w name
    | None -> write_int w number
  in
  { read; write }

(* libxl's builtin types *)

let defbool =
  let read json =
    match text json with
    | "True" -> Some true
    | "False" -> Some false
    | "<default>" -> None
    | other -> Json.refuse "%s is no defbool; it is \"True\", \"False\" or \"<default>\"" (Json.shown other)
  in
  let show = function Some true -> "True" | Some false -> "False" | None -> "<default>" in
  { read; write = (fun w value -> Json.write_string w (show value)) }

(* Hexadecimal digits with separators where the form has them. *)
let has_form form text =
  let fits i c =
    match (form.[i], c) with 'x', ('0' .. '9' | 'a' .. 'f' | 'A' .. 'F') -> true | f, c -> f <> 'x' && f = c
  in
  let all = ref (String.length text = String.length form) in
  if !all then String.iteri (fun i c -> if not (fits i c) then all := false) text;
  !all

module Hex (Form : sig
  val name : string
  val form : string
end) =
struct
  type t = string

  let zero = String.map (function 'x' -> '0' | c -> c) Form.form

  let of_string text =
    if has_form Form.form text then Ok (String.lowercase_ascii text)
    else Error (Printf.sprintf "%s is no %s" (Json.shown text) Form.name)

  let to_string text = text

  let codec =
    let read json = match of_string (text json) with Ok value -> value | Error why -> Json.refuse "%s" why in
    { read; write = Json.write_string }
end

module Uuid = struct
  include Hex (struct
    let name = "uuid"
    let form = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
  end)

  let nil = zero
end

module Mac = Hex (struct
  let name = "mac"
  let form = "xx:xx:xx:xx:xx:xx"
end)

let uuid = Uuid.codec
let mac = Mac.codec

module Bitmap = struct
  type t = int list

  let empty = []
  let most = two_31 - 9
  let of_list bits = List.sort_uniq compare (List.filter (fun bit -> bit >= 0 && bit <= most) bits)
  let to_list bits = bits
end

let bitmap =
  let bit json =
    let text = signed (digits json) in
    match int_of_string_opt text with
    | Some bit when bit >= 0 && bit <= Bitmap.most -> bit
    | _ -> Json.refuse "%s is no bit; libxl would write beyond its memory" text
  in
  { read = (fun json -> Bitmap.of_list (elements bit json)); write = write_elements write_int }

module Cpuid_policy_list = struct
  type leaf = {
    leaf : int;
    subleaf : int option;
    eax : string option;
    ebx : string option;
    ecx : string option;
    edx : string option;
  }

  type msr = { index : int; policy : string }
  type t = { cpuid : leaf list; msr : msr list }

  let empty = { cpuid = []; msr = [] }

  (* XEN_CPUID_INPUT_UNUSED: what C ends a list with. *)
  let unused = two_32 - 1

  let bits n json =
    let text = text json in
    if String.length text <> n then Json.refuse "%s is not %d bits" (Json.shown text) n;
    text

  let leaf_of json =
    let o = members [ "leaf"; "subleaf"; "eax"; "ebx"; "ecx"; "edx" ] json in
    let subleaf = match find o "subleaf" word with Some n when n <> unused -> Some n | _ -> None in
    let register name = find o name (bits 32) in
    let eax = register "eax" and ebx = register "ebx" and ecx = register "ecx" and edx = register "edx" in
    { leaf = Option.value (find o "leaf" word) ~default:unused; subleaf; eax; ebx; ecx; edx }

  let msr_of json =
    let o = members [ "index"; "policy" ] json in
    match (find o "index" word, find o "policy" (bits 64)) with
    | Some index, Some policy -> { index; policy }
    | None, _ -> Json.refuse "an MSR without its index"
    | _, None -> Json.refuse "an MSR without its policy"

  let rec up_to_unused = function
    | leaf :: rest when leaf.leaf <> unused -> leaf :: up_to_unused rest
    | _ -> []

  let read (json : Json.t) =
    match json.value with
    (* Up to Xen 4.17: the leaves alone. *)
    | Array _ -> { cpuid = up_to_unused (elements leaf_of json); msr = [] }
    | _ -> (
        let o = members [ "cpuid"; "msr" ] json in
        match (find o "cpuid" (elements leaf_of), find o "msr" (elements msr_of)) with
        | Some cpuid, Some msr -> { cpuid = up_to_unused cpuid; msr }
        | None, _ -> Json.refuse "CPUID policies without \"cpuid\""
        | _, None -> Json.refuse "CPUID policies without \"msr\"")

  let write w { cpuid; msr } =
    let put key write value = Json.write_key w key; write w value in
    let write_leaf w { leaf; subleaf; eax; ebx; ecx; edx } =
      Json.write_object w (fun () ->
          put "leaf" write_int leaf;
          Option.iter (put "subleaf" write_int) subleaf;
          let register name = Option.iter (put name Json.write_string) in
          register "eax" eax;
          register "ebx" ebx;
          register "ecx" ecx;
          register "edx" edx)
    in
    let write_msr w { index; policy } =
      Json.write_object w (fun () ->
          put "index" write_int index;
          put "policy" Json.write_string policy)
    in
    Json.write_object w (fun () ->
        put "cpuid" (write_elements write_leaf) cpuid;
        put "msr" (write_elements write_msr) msr)
end

let cpuid_policy_list = { read = Cpuid_policy_list.read; write = Cpuid_policy_list.write }

module Key_value_list = struct
  type t = (string * string option) list
end

let key_value_list =
  let read (json : Json.t) =
    match json.value with
    | Object list ->
        let one (key, (value : Json.t)) =
          let key = match key with Ok key -> key | Error why -> Json.refuse "%s" why in
          Json.within (Key key) (fun () -> (key, string.read value))
        in
        List.rev (List.rev_map one list)
    | _ -> wrong json "an object"
  in
  let write w list =
    Json.write_object w (fun () -> List.iter (fun (key, value) -> Json.write_key w key; string.write w value) list)
  in
  { read; write }

module Hwcap = struct
  type t = int list

  let of_list words =
    List.init 8 (fun i -> match List.nth_opt words i with Some word -> word land (two_32 - 1) | None -> 0)

  let zero = of_list []
end

let hwcap =
  let read json =
    let words = elements word json in
    let n = List.length words in
    if n < 4 then Json.refuse "%d words of capabilities; there are four" n;
    if n > 8 then Json.refuse "%d words of capabilities; there are at most 8" n;
    Hwcap.of_list words
  in
  let write w words =
    let rest = List.filteri (fun i _ -> i >= 4) words in
    let all = List.exists (fun word -> word <> 0) rest in
    write_elements write_int w (List.filteri (fun i _ -> all || i < 4) words)
  in
  { read; write }

module Ms_vm_genid = struct
  type t = string

  let zero = String.make 16 '\x00'

  let of_bytes bytes =
    if String.length bytes = 16 then Ok bytes
    else Error (Printf.sprintf "%d bytes of a generation id, which has 16" (String.length bytes))
end

let ms_vm_genid =
  let byte = int ~bits:8 ~signed:false in
  let read json =
    let bytes = List.map Char.chr (elements byte.read json) in
    match Ms_vm_genid.of_bytes (String.of_seq (List.to_seq bytes)) with
    | Ok id -> id
    | Error why -> Json.refuse "%s" why
  in
  let write w id = write_elements write_int w (List.map Char.code (List.of_seq (String.to_seq id))) in
  { read; write }
