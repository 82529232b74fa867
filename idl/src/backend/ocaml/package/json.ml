type error = { path : string; problem : string }

let error_to_string { path; problem } = if path = "" then problem else path ^ ": " ^ problem

type t = { text : string; start : int; stop : int; value : value }

and value =
  | Null
  | Bool of bool
  | Integer of string
  | Decimal
  | String of text
  | Array of t list
  | Object of (text * t) list

and text = (string, string) result

type part = Key of string | Index of int

exception Refused of part list * string

let refuse format = Printf.ksprintf (fun problem -> raise (Refused ([], problem))) format
let within part f = try f () with Refused (path, problem) -> raise (Refused (part :: path, problem))

let path_text parts =
  let add out = function
    | Key key when out = "" -> key
    | Key key -> out ^ "." ^ key
    | Index i -> Printf.sprintf "%s[%d]" out i
  in
  List.fold_left add "" parts

let catch f =
  match f () with
  | value -> Ok value
  | exception Refused (parts, problem) -> Error { path = path_text parts; problem }

(* UTF-8 *)

(* The length of the character at a place, and its number; 0 when there is none. *)
let char_at text at =
  let byte i = if i < String.length text then Char.code text.[i] else 0 in
  let tail i = byte (at + i) land 0xc0 = 0x80 in
  let low i = byte (at + i) land 0x3f in
  match byte at with
  | b when b < 0x80 -> (1, b)
  | b when b >= 0xc2 && b <= 0xdf && tail 1 -> (2, ((b land 0x1f) lsl 6) lor low 1)
  | b when b land 0xf0 = 0xe0 && tail 1 && tail 2 ->
      let code = ((b land 0x0f) lsl 12) lor (low 1 lsl 6) lor low 2 in
      if code < 0x800 || (code >= 0xd800 && code < 0xe000) then (0, 0) else (3, code)
  | b when b >= 0xf0 && b <= 0xf4 && tail 1 && tail 2 && tail 3 ->
      let code = ((b land 0x07) lsl 18) lor (low 1 lsl 12) lor (low 2 lsl 6) lor low 3 in
      if code < 0x10000 || code > 0x10ffff then (0, 0) else (4, code)
  | _ -> (0, 0)

let fold_chars f start text =
  let rec go acc at =
    if at >= String.length text then acc
    else
      match char_at text at with
      | 0, _ -> refuse "not UTF-8: byte %d begins no character" at
      | length, code -> go (f acc code) (at + length)
  in
  go start 0

let add_char out code =
  let add byte = Buffer.add_char out (Char.chr byte) in
  let tail shift = add (0x80 lor ((code lsr shift) land 0x3f)) in
  if code < 0x80 then add code
  else if code < 0x800 then (add (0xc0 lor (code lsr 6)); tail 0)
  else if code < 0x10000 then (add (0xe0 lor (code lsr 12)); tail 6; tail 0)
  else (add (0xf0 lor (code lsr 18)); tail 12; tail 6; tail 0)

(* Messages *)

let shown text =
  let most = 40 in
  let rec cut at = if at > 0 && fst (char_at text at) = 0 then cut (at - 1) else at in
  let kept = if String.length text <= most then text else String.sub text 0 (cut most) in
  let out = Buffer.create 48 in
  let add = function
    | ('"' | '\\') as c -> Buffer.add_char out '\\'; Buffer.add_char out c
    | c when c < ' ' || c = '\x7f' -> Printf.bprintf out "\\x%02x" (Char.code c)
    | c -> Buffer.add_char out c
  in
  String.iter add kept;
  Printf.sprintf "\"%s%s\"" (Buffer.contents out) (if kept == text then "" else "..")

(* Edits (insert, delete, replace, swap of neighbours) between two words. *)
let distance a b =
  let n = String.length b in
  let before = ref [||] and last = ref (Array.init (n + 1) Fun.id) in
  let row i ca =
    let row = Array.make (n + 1) (i + 1) in
    for j = 0 to n - 1 do
      let cost = if ca = b.[j] then 0 else 1 in
      row.(j + 1) <- min (!last.(j) + cost) (1 + min !last.(j + 1) row.(j));
      if i > 0 && j > 0 && a.[i - 1] = b.[j] && b.[j - 1] = ca then
        row.(j + 1) <- min row.(j + 1) (!before.(j - 1) + 1)
    done;
    before := !last;
    last := row
  in
  String.iteri row a;
  !last.(n)

let hint word names =
  let limit = max 1 (min 3 (String.length word / 3)) in
  let nearer best name =
    let d = distance (String.lowercase_ascii word) (String.lowercase_ascii name) in
    match best with Some (other, _) when other <= d -> best | _ -> if d <= limit then Some (d, name) else best
  in
  (* A long word is nobody's slip, and comparing it would cost its square. *)
  let best = if String.length word > 64 then None else List.fold_left nearer None names in
  match best with
  | Some (_, name) -> Printf.sprintf "; did you mean %S?" name
  | None when names = [] || List.length names > 12 -> ""
  | None -> "; it can be: " ^ String.concat ", " names

let describe json =
  match json.value with
  | Null -> "null"
  | Bool _ -> "a truth value"
  | Integer _ -> "an integer"
  | Decimal -> "a number with a fraction or exponent"
  | String _ -> "a string"
  | Array _ -> "an array"
  | Object _ -> "an object"

(* Reading *)

let parse ~depth ~halves text =
  ignore (fold_chars (fun () _ -> ()) () text);
  let length = String.length text in
  let at = ref 0 in
  let peek () = if !at < length then text.[!at] else '\x00' in
  let fail expected =
    if !at >= length then refuse "expected %s, found the end of the text (at byte %d)" expected !at
    else refuse "expected %s, found %C (at byte %d)" expected text.[!at] !at
  in
  let rec space () =
    match peek () with ' ' | '\n' | '\t' | '\r' -> incr at; space () | _ -> ()
  in
  let skip c = if !at < length && peek () = c then incr at else fail (Printf.sprintf "%C" c) in
  let hex () =
    let digit = function
      | '0' .. '9' as c -> Char.code c - Char.code '0'
      | 'a' .. 'f' as c -> Char.code c - Char.code 'a' + 10
      | 'A' .. 'F' as c -> Char.code c - Char.code 'A' + 10
      | _ -> fail "four hexadecimal digits"
    in
    let rec go n value = if n = 0 then value else let d = digit (peek ()) in incr at; go (n - 1) ((value * 16) + d) in
    go 4 0
  in
  let string () =
    let start = !at in
    let out = Buffer.create 32 in
    let half = ref false in
    skip '"';
    let unicode () =
      let unit = hex () in
      if unit < 0xd800 || unit >= 0xe000 then add_char out unit
      else
        let after = !at in
        let low =
          if unit < 0xdc00 && !at + 1 < length && text.[!at] = '\\' && text.[!at + 1] = 'u' then (at := !at + 2; hex ())
          else 0
        in
        if low >= 0xdc00 && low < 0xe000 then add_char out (0x10000 + ((unit land 0x3ff) lsl 10) + (low land 0x3ff))
        else (half := true; at := after)
    in
    let rec go () =
      if !at >= length then refuse "a string without an end (at byte %d)" start;
      match text.[!at] with
      | '"' -> incr at
      | '\\' ->
          at := !at + 2;
          (match if !at <= length then text.[!at - 1] else ' ' with
           | ('"' | '\\' | '/') as c -> Buffer.add_char out c
           | 'n' -> Buffer.add_char out '\n'
           | 't' -> Buffer.add_char out '\t'
           | 'r' -> Buffer.add_char out '\r'
           | 'b' -> Buffer.add_char out '\b'
           | 'f' -> Buffer.add_char out '\x0c'
           | 'u' -> unicode ()
           | _ -> refuse "an escape that JSON does not have (at byte %d)" (!at - 2));
          go ()
      | c when c < ' ' -> refuse "a control character in a string (at byte %d)" !at
      | c -> Buffer.add_char out c; incr at; go ()
    in
    go ();
    let problem = Printf.sprintf "half of a surrogate pair, which is no text (at byte %d)" start in
    if not !half then Ok (Buffer.contents out)
    else if halves then Error problem
    else refuse "%s" problem
  in
  let digits () =
    let start = !at in
    while match peek () with '0' .. '9' -> true | _ -> false do incr at done;
    if !at = start then fail "a digit"
  in
  let number () =
    let start = !at in
    if peek () = '-' then incr at;
    if peek () = '0' then incr at else digits ();
    let whole = !at in
    if peek () = '.' then (incr at; digits ());
    (match peek () with
     | 'e' | 'E' ->
         incr at;
         (match peek () with '+' | '-' -> incr at | _ -> ());
         digits ()
     | _ -> ());
    if !at = whole then Integer (String.sub text start (whole - start)) else Decimal
  in
  let word name value =
    let n = String.length name in
    if !at + n <= length && String.sub text !at n = name then (at := !at + n; value) else fail "a value"
  in
  let rec value around =
    space ();
    let start = !at in
    if !at >= length then fail "a value";
    let found =
      match text.[!at] with
      | '{' -> Object (members (around + 1) '}' (fun () -> member (around + 1)))
      | '[' -> Array (members (around + 1) ']' (fun () -> value (around + 1)))
      | '"' -> String (string ())
      | '-' | '0' .. '9' -> number ()
      | 't' -> word "true" (Bool true)
      | 'f' -> word "false" (Bool false)
      | 'n' -> word "null" Null
      | _ -> fail "a value"
    in
    { text; start; stop = !at; value = found }
  and member around =
    space ();
    let key = if peek () = '"' then string () else fail "a key" in
    space ();
    skip ':';
    (key, value around)
  and members : 'a. int -> char -> (unit -> 'a) -> 'a list =
    fun around close one ->
    if around > depth then refuse "nested deeper than %d" depth;
    incr at;
    space ();
    if !at < length && peek () = close then (incr at; [])
    else
      let rec go before =
        let all = one () :: before in
        space ();
        if !at < length && peek () = ',' then (incr at; go all)
        else (skip close; List.rev all)
      in
      go []
  in
  let whole = value 0 in
  space ();
  if !at < length then fail "the end of the text";
  whole

module Raw = struct
  type t = string

  let of_string text = catch (fun () -> ignore (parse ~depth:1000 ~halves:true text); String.trim text)
  let to_string text = text
end

let raw { text; start; stop; _ } = String.sub text start (stop - start)

let depth text =
  let deepest = ref 0 and depth = ref 0 and within_string = ref false and escaped = ref false in
  let look c =
    if !escaped then escaped := false
    else
      match c with
      | '\\' -> escaped := !within_string
      | '"' -> within_string := not !within_string
      | ('{' | '[') when not !within_string -> incr depth; deepest := max !deepest !depth
      | ('}' | ']') when not !within_string -> decr depth
      | _ -> ()
  in
  String.iter look text;
  !deepest

(* Writing *)

type layout = Compact | Indented
type writer = { out : Buffer.t; layout : layout; mutable around : int; mutable first : bool }

let to_text layout write =
  let w = { out = Buffer.create 1024; layout; around = 0; first = true } in
  write w;
  if layout = Indented then Buffer.add_char w.out '\n';
  Buffer.contents w.out

let write_raw w text = Buffer.add_string w.out text

let indent w =
  for _ = 1 to 4 * w.around do
    Buffer.add_char w.out ' '
  done

let container w opening closing members =
  Buffer.add_char w.out opening;
  if w.layout = Indented then Buffer.add_char w.out '\n';
  w.around <- w.around + 1;
  w.first <- true;
  members ();
  w.around <- w.around - 1;
  w.first <- false;
  if w.layout = Indented then (Buffer.add_char w.out '\n'; indent w);
  Buffer.add_char w.out closing

let write_object w members = container w '{' '}' members
let write_array w elements = container w '[' ']' elements

let write_element w =
  let first = w.first in
  w.first <- false;
  if not first then Buffer.add_char w.out ',';
  if w.layout = Indented then (if not first then Buffer.add_char w.out '\n'; indent w)

let write_string w text =
  let add = function
    | '"' -> Buffer.add_string w.out "\\\""
    | '\\' -> Buffer.add_string w.out "\\\\"
    | '\n' -> Buffer.add_string w.out "\\n"
    | '\r' -> Buffer.add_string w.out "\\r"
    | '\t' -> Buffer.add_string w.out "\\t"
    | '\b' -> Buffer.add_string w.out "\\b"
    | '\x0c' -> Buffer.add_string w.out "\\f"
    | c when c < ' ' && w.layout = Indented -> Printf.bprintf w.out "\\u%04X" (Char.code c)
    | c when c < ' ' -> Printf.bprintf w.out "\\u%04x" (Char.code c)
    | c -> Buffer.add_char w.out c
  in
  (* What is not UTF-8 is no text, and nobody could read it again. *)
  ignore (fold_chars (fun () _ -> ()) () text);
  Buffer.add_char w.out '"';
  String.iter add text;
  Buffer.add_char w.out '"'

let write_key w key =
  write_element w;
  write_string w key;
  Buffer.add_string w.out (if w.layout = Indented then ": " else ":")
