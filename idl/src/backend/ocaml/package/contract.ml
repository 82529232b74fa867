open Codec

let document_max = 1 lsl 20
let xenstore_max = 2048
let depth_max = 16

type extra = (string * Json.Raw.t) list

module Timestamp = struct
  type t = { seconds : int; nanoseconds : int }

  let day = 86_400

  (* 0001-01-01 and 10000-01-01. *)
  let first = -62_135_596_800
  let finish = 253_402_300_800

  let make ~seconds ~nanoseconds =
    let good = seconds >= first && seconds < finish && nanoseconds >= 0 && nanoseconds < 1_000_000_000 in
    if good then Some { seconds; nanoseconds } else None

  let div a b = if a >= 0 then a / b else -((b - 1 - a) / b)

  (* Days since 1970 of a date, and back (H. Hinnant, "chrono-compatible low-level date algorithms"). *)
  let days_of_date year month day =
    let year = if month <= 2 then year - 1 else year in
    let era = div year 400 in
    let of_era = year - (era * 400) in
    let of_year = (((153 * ((month + 9) mod 12)) + 2) / 5) + day - 1 in
    (era * 146_097) + (of_era * 365) + (of_era / 4) - (of_era / 100) + of_year - 719_468

  let date_of_days days =
    let z = days + 719_468 in
    let era = div z 146_097 in
    let day_of_era = z - (era * 146_097) in
    let of_era = (day_of_era - (day_of_era / 1460) + (day_of_era / 36_524) - (day_of_era / 146_096)) / 365 in
    let day_of_year = day_of_era - ((of_era * 365) + (of_era / 4) - (of_era / 100)) in
    let mp = ((5 * day_of_year) + 2) / 153 in
    let month = if mp < 10 then mp + 3 else mp - 9 in
    let year = of_era + (era * 400) + if month <= 2 then 1 else 0 in
    (year, month, day_of_year - (((153 * mp) + 2) / 5) + 1)

  let days_in year = function
    | 2 -> if year mod 4 = 0 && (year mod 100 <> 0 || year mod 400 = 0) then 29 else 28
    | 4 | 6 | 9 | 11 -> 30
    | _ -> 31

  let of_string text =
    let form = "0000-00-00T00:00:00.000000000Z" in
    let fits i c = match form.[i] with '0' -> c >= '0' && c <= '9' | f -> c = f in
    let whole = ref (String.length text = String.length form) in
    if !whole then String.iteri (fun i c -> if not (fits i c) then whole := false) text;
    let number at length = int_of_string ("0u" ^ String.sub text at length) in
    let wrong = Error "it is RFC 3339 in UTC with nine digits, as 2026-11-23T10:20:30.123456789Z" in
    if not !whole then wrong
    else
      let year = number 0 4 and month = number 5 2 and date = number 8 2 in
      let hour = number 11 2 and minute = number 14 2 and second = number 17 2 in
      let good =
        year >= 1 && month >= 1 && month <= 12 && date >= 1
        && date <= days_in year month
        && hour < 24 && minute < 60 && second < 60
      in
      let seconds = (days_of_date year month date * day) + (hour * 3600) + (minute * 60) + second in
      if good then Ok { seconds; nanoseconds = number 20 9 } else wrong

  let to_string { seconds; nanoseconds } =
    let days = div seconds day in
    let second = seconds - (days * day) in
    let year, month, date = date_of_days days in
    Printf.sprintf "%04d-%02d-%02dT%02d:%02d:%02d.%09dZ" year month date (second / 3600) (second / 60 mod 60)
      (second mod 60) nanoseconds

  let to_float { seconds; nanoseconds } = float_of_int seconds +. (float_of_int nanoseconds /. 1e9)
end

(* Texts *)

type part = { ranges : (int * int) list; least : int; most : int }
type pattern = { text : string; parts : part list }

let matches pattern text =
  let chars = Json.fold_chars (fun all code -> code :: all) [] text in
  let has part code = List.exists (fun (a, b) -> a <= code && code <= b) part.ranges in
  let rec go parts n = function
    | code :: rest when (match parts with part :: _ -> n < part.most && has part code | [] -> false) ->
        go parts (n + 1) rest
    | chars -> (
        match parts with
        | part :: others -> n >= part.least && go others 0 chars
        | [] -> chars = [])
  in
  go pattern.parts 0 (List.rev chars)

let check ?(min = 0) ?(max = max_int) ?pattern text =
  let bytes = String.length text in
  if bytes < min then Error (Printf.sprintf "%d bytes, at least %d" bytes min)
  else if bytes > max then Error (Printf.sprintf "%d bytes, at most %d" bytes max)
  else
    match pattern with
    | Some pattern when not (matches pattern text) -> Error (Printf.sprintf "it must match `%s`" pattern.text)
    | _ -> Ok text

module type TEXT = sig
  type t = private string

  val of_string : string -> (t, string) result
  val of_string_exn : string -> t
  val to_string : t -> string
end

module Checked (Form : sig
  val name : string
  val check : string -> (string, string) result
end) =
struct
  type t = string

  let of_string text =
    match Form.check text with
    | Ok text -> Ok text
    | Error why -> Error (Printf.sprintf "%s is not a %s: %s" (Json.shown text) Form.name why)
    | exception Json.Refused (_, why) -> Error why

  let of_string_exn text = match of_string text with Ok text -> text | Error why -> invalid_arg why
  let to_string text = text
end

module Text (Form : sig
  val name : string
  val min : int
  val max : int
  val pattern : pattern
end) =
Checked (struct
  let name = Form.name
  let check text = check ~min:Form.min ~max:Form.max ~pattern:Form.pattern text
end)

module Uuid = Checked (struct
  let name = "uuid"

  let check text =
    let digit i = function
      | '-' -> List.mem i [ 8; 13; 18; 23 ]
      | '0' .. '9' | 'a' .. 'f' -> not (List.mem i [ 8; 13; 18; 23 ])
      | _ -> false
    in
    let good = ref (String.length text = 36) in
    String.iteri (fun i c -> if not (digit i c) then good := false) text;
    if !good then Ok text else Error "it is 32 lower-case hex digits with dashes, as 8-4-4-4-12"
end)

module Path = Checked (struct
  let name = "path"

  let check text =
    if text = "" || text.[0] <> '/' then Error "it must be absolute"
    else if List.mem ".." (String.split_on_char '/' text) then Error "it must not hold `..`"
    else if String.contains text '\x00' then Error "it must not hold NUL"
    else Ok text
end)

(* Codecs *)

let of_json codec document =
  Json.catch (fun () ->
      if String.length document > document_max then
        Json.refuse "%d bytes; at most %d" (String.length document) document_max;
      codec.read (Json.parse ~depth:depth_max ~halves:true document))

let to_json codec value =
  Json.catch (fun () ->
      let document = Json.to_text Compact (fun w -> codec.write w value) in
      if String.length document > document_max then
        Json.refuse "%d bytes; at most %d" (String.length document) document_max;
      if Json.depth document > depth_max then Json.refuse "nested deeper than %d" depth_max;
      document)

let wrong json expected = Json.refuse "%s where %s belongs" (Json.describe json) expected

let bool =
  {
    read = (fun json -> match json.value with Bool b -> b | _ -> wrong json "a truth value");
    write = (fun w b -> Json.write_raw w (string_of_bool b));
  }

let int least most =
  let refuse shown = Json.refuse "%s is not from %d to %d" shown least most in
  let read (json : Json.t) =
    match json.value with
    | Integer "-0" -> Json.refuse "-0 is no integer"
    | Integer digits -> (
        match int_of_string_opt digits with
        | Some i when i >= least && i <= most -> i
        | _ -> refuse digits)
    | _ -> wrong json "an integer"
  in
  let write w i = if i < least || i > most then refuse (string_of_int i) else Json.write_raw w (string_of_int i) in
  { read; write }

let string =
  {
    read =
      (fun json ->
        match json.value with
        | String (Ok text) -> text
        | String (Error why) -> Json.refuse "%s" why
        | _ -> wrong json "a string");
    write = Json.write_string;
  }

let text make show =
  let read json = match make (string.read json) with Ok value -> value | Error why -> Json.refuse "%s" why in
  { read; write = (fun w value -> Json.write_string w (show value)) }

let raw = { read = Json.raw; write = (fun w value -> Json.write_raw w (Json.Raw.to_string value)) }
let timestamp = text Timestamp.of_string Timestamp.to_string
let uuid = text Uuid.of_string Uuid.to_string
let path = text Path.of_string Path.to_string

let limited ?min ?max ?pattern show codec =
  let check value =
    match check ?min ?max ?pattern (show value) with Ok _ -> value | Error why -> Json.refuse "%s" why
  in
  { read = (fun json -> check (codec.read json)); write = (fun w value -> codec.write w (check value)) }

let array ?(min = 0) ?(max = max_int) element =
  let check list =
    let n = List.length list in
    if n < min then Json.refuse "%d elements, at least %d" n min;
    if n > max then Json.refuse "%d elements, at most %d" n max;
    list
  in
  let each f i one = Json.within (Index i) (fun () -> f one) in
  let read (json : Json.t) =
    match json.value with
    | Array list -> List.mapi (each element.read) (check list)
    | _ -> wrong json "a list"
  in
  let write w list =
    Json.write_array w (fun () ->
        List.iteri (each (fun one -> Json.write_element w; element.write w one)) (check list))
  in
  { read; write }

(* Whether a text has the form of an enumeration's value: lower-case words. *)
let is_enum_name text =
  let good i = function 'a' .. 'z' -> true | '0' .. '9' | '_' -> i > 0 | _ -> false in
  let all = ref (text <> "" && String.length text <= 64) in
  String.iteri (fun i c -> if not (good i c) then all := false) text;
  !all

let enum name values ?unknown show =
  let read json =
    let text = string.read json in
    match (List.assoc_opt text values, unknown) with
    | Some value, _ -> value
    | None, Some keep when is_enum_name text -> keep text
    | None, _ -> Json.refuse "%s is no %s%s" (Json.shown text) name (Json.hint text (List.map fst values))
  in
  let write w value =
    let text = show value in
    let known = match List.assoc_opt text values with Some other -> other = value | None -> false in
    if not (known || (is_enum_name text && not (List.mem_assoc text values))) then
      Json.refuse "%s cannot be an unknown %s" (Json.shown text) name;
    Json.write_string w text
  in
  { read; write }

type members = {
  known : string list;
  inside : (string * Json.t) list;
  places : (string, Json.t) Hashtbl.t;
  taken : (string, unit) Hashtbl.t;
}

let members known (json : Json.t) =
  match json.value with
  | Object list ->
      let places = Hashtbl.create 16 in
      let one (key, value) =
        let key = match key with Ok key -> key | Error why -> Json.refuse "%s" why in
        if Hashtbl.mem places key then Json.refuse "%s is there twice" (Json.shown key);
        Hashtbl.add places key value;
        (key, value)
      in
      let inside = List.rev (List.rev_map one list) in
      { known; inside; places; taken = Hashtbl.create 16 }
  | _ -> wrong json "an object"

let obj ~known ~read ~write =
  {
    read = (fun json -> read (members known json));
    write = (fun w value -> Json.write_object w (fun () -> write w value));
  }

let take o key codec value =
  Hashtbl.replace o.taken key ();
  Json.within (Key key) (fun () -> codec.read value)

let optional o key codec = Option.map (take o key codec) (Hashtbl.find_opt o.places key)

let required o key codec =
  match optional o key codec with Some value -> value | None -> Json.refuse "missing field `%s`" key

let default o key codec value = Option.value (optional o key codec) ~default:value

type 'a arm = { key : string; of_members : members -> Json.t -> 'a }

let arm key codec wrap = { key; of_members = (fun o json -> wrap (take o key codec json)) }

let union o keyvar ?unknown arms =
  let prefix = keyvar ^ "." in
  let n = String.length prefix in
  let begins key = String.length key >= n && String.sub key 0 n = prefix in
  let one (key, json) =
    match (List.find_opt (fun arm -> arm.key = key) arms, unknown) with
    | Some arm, _ -> Some (key, fun () -> arm.of_members o json)
    | None, Some keep when begins key && not (List.mem key o.known) ->
        let name = String.sub key n (String.length key - n) in
        if not (is_enum_name name) then Json.refuse "%s is not a key of `%s`" (Json.shown key) keyvar;
        Some (key, fun () -> keep name (take o key raw json))
    | None, _ -> None
  in
  match List.filter_map one o.inside with
  | [ (_, read) ] -> read ()
  | [] -> Json.refuse "missing field: one of `%s`" (String.concat "`, `" (List.map (fun arm -> arm.key) arms))
  | _ :: (key, _) :: _ -> Json.refuse "%s is a second key of `%s`: only one can be there" (Json.shown key) keyvar

let extra o =
  List.filter_map
    (fun (key, json) -> if Hashtbl.mem o.taken key then None else Some (key, Json.raw json))
    o.inside

let no_extra o =
  match List.find_opt (fun (key, _) -> not (List.mem key o.known)) o.inside with
  | None -> ()
  | Some (key, _) -> Json.refuse "unknown field %s%s" (Json.shown key) (Json.hint key o.known)

let empty = obj ~known:[] ~read:no_extra ~write:(fun _ () -> ())

let put w key codec value =
  Json.write_key w key;
  Json.within (Key key) (fun () -> codec.write w value)

let put_option w key codec = Option.iter (put w key codec)

let put_unknown_arm w keyvar ~known name value =
  let key = keyvar ^ "." ^ name in
  if List.mem key known || not (is_enum_name name) then
    Json.refuse "%s cannot be an unknown arm" (Json.shown key);
  put w key raw value

let put_extra w ~known extra =
  let one (key, value) =
    if List.mem key known then Json.refuse "unknown field %s has a known name" (Json.shown key);
    put w key raw value
  in
  List.iter one extra

let extras = obj ~known:[] ~read:extra ~write:(fun w extra -> put_extra w ~known:[] extra)
