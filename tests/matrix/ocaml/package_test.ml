(* The packages of the compiler's own inputs, as a user has them: names, defaults, limits, what is kept, what is refused. *)

(* Some of what is tested is on its way out. *)
[@@@alert "-deprecated"]

let failures = ref 0

let check what good =
  if not good then (
    incr failures;
    prerr_endline ("FAILED: " ^ what))

module Contract_types = struct
  open Contract_unit

  let refused what result problem =
    match result with
    | Ok _ -> check (what ^ ": not refused") false
    | Error error ->
        let said = Json.error_to_string error in
        if said <> problem then check (Printf.sprintf "%s: %S, not %S" what said problem) false

  let text =
    {|{"flag":true,"small":0,"mid":7,"large":9007199254740991,"number":-5,"dom":32751,"text":"abc","colour":"dark_blue","type":"ab-1","at":"2026-11-23T10:20:30.123456789Z","for_long":5,"id":"67e55044-10b1-426f-9247-bb680e5fe0c8","path":"/a b/c","ram":0,"list":["red"],"what.type":{}}|}

  let strict =
    let uuid = Uuid.of_string_exn "67e55044-10b1-426f-9247-bb680e5fe0c8" in
    let at = Result.get_ok (Timestamp.of_string "2026-11-23T10:20:30.123456789Z") in
    Strict.make ~small:0 ~large:9007199254740991 ~number:(-5) ~dom:32751 ~type_:(Tag.of_string_exn "ab-1") ~at ~id:uuid
      ~path:(Path.of_string_exn "/a b/c") ~ram:0 ~list:[ Colour.Red ] ~what:Strict.What.Type ()

  let run () =
    check "what make leaves out has its default" (Strict.to_json strict = Ok text);
    check "read as it was written" (Strict.of_json text = Ok strict);
    check "a union's kind" (Strict.What.kind strict.what = T_size.Type);
    check "a xenstore path" (Strict.xenstore_path ~domid:"3" ~id:"x" = "/local/domain/3/t/x");
    refused "too many elements" (Strict.to_json { strict with list = [ Red; Red; Red; Red ] })
      "list: 4 elements, at most 3";
    refused "a number out of its range" (Strict.to_json { strict with mid = 501 }) "mid: 501 is not from 5 to 500";
    refused "an element" (Strict.of_json {|{"list":["red","rde"]}|}) "missing field `small`";
    refused "a mistyped value" (Inner.of_json {|{"mode":"rde"}|}) {|mode: "rde" is no colour; did you mean "red"?|};
    refused "a mistyped field" (Inner.of_json {|{"mdoe":"red"}|}) {|unknown field "mdoe"; did you mean "mode"?|};
    refused "a field that is there twice" (Inner.of_json {|{"flag":true,"flag":true}|}) {|"flag" is there twice|};
    refused "a depth" (Open_part.of_json ({|{"raw":|} ^ String.make 16 '[' ^ String.make 16 ']' ^ "}"))
      "nested deeper than 16";
    let newer = {|{"late":{"ids":[],"size.huge":{"n": 1.50},"z":null,"a":[ ]},"new":"\u0001"}|} in
    (match Early.of_json newer with
     | Ok early ->
         check "what is unknown is written again" (Early.to_json early = Ok newer);
         (match early.late.size with
          | Unknown { arm = "huge"; value } -> check "its bytes" (Json.Raw.to_string value = {|{"n": 1.50}|})
          | _ -> check "an unknown arm" false);
         let bad = { early.late with size = Unknown { arm = "small"; value = Result.get_ok (Json.Raw.of_string "1") } } in
         refused "a known arm as an unknown one" (Late.to_json bad) {|"size.small" cannot be an unknown arm|}
     | Error error -> check (Json.error_to_string error) false);
    check "an unknown value" (T_size.of_json {|"later"|} = Ok (Unknown "later"));
    check "no value at all" (Result.is_error (T_size.of_json {|"Later"|}));
    let instant text = Result.map Timestamp.to_string (Timestamp.of_string text) in
    let same text = check text (instant text = Ok text) in
    List.iter same [ "1970-01-01T00:00:00.000000000Z"; "0001-01-01T00:00:00.000000000Z"; "2024-02-29T23:59:59.999999999Z"; "9999-12-31T23:59:59.000000001Z" ];
    let none text = check text (Result.is_error (instant text)) in
    List.iter none [ "2023-02-29T00:00:00.000000000Z"; "2026-01-01T24:00:00.000000000Z"; "0000-01-01T00:00:00.000000000Z"; "2026-11-23T10:20:30Z" ];
    check "every type is in the table" (List.length all = 10 && Option.is_some (find "early"))
end

module Libxl_types = struct
  open Libxl_unit

  let refused what result problem =
    match result with
    | Ok _ -> check (what ^ ": not refused") false
    | Error error ->
        let said = Json.error_to_string error in
        if said <> problem then check (Printf.sprintf "%s: %S, not %S" what said problem) false

  let run () =
    let value = Everything.default in
    check "init_val, as C converts it" (value.int = -1 && value.u32 = 0xffffffff && value.u64 = -1L && value.small = -2);
    check "an enumeration's" (value.kind = Kind.Invalid && value.kind_none = Kind.None_);
    check "a value that begins with a digit" (Kind.of_string "9pfs" = Some Kind.N9pfs);
    check "a number without a name" (Event_type.to_int (Event_type.of_int 0) = 0 && Event_type.of_int 7 = Disk_eject);
    let there_and_back value =
      match Result.bind (Everything.to_json value) Everything.of_json with
      | Ok again -> check "there and back" (again = value)
      | Error error -> check (Json.error_to_string error) false
    in
    there_and_back value;
    there_and_back { value with u64 = 0x7fff_ffff_ffff_ffffL; kind = Kind.Other 99; text = Some "" };
    there_and_back { value with u = Everything.U.Other Kind.N128; default = Some false };
    let plain text = String.concat "" (List.map String.trim (String.split_on_char '\n' text)) in
    let u64 text = Result.map (fun (v : Everything.t) -> v.u64) (Everything.of_json (Printf.sprintf {|{"u64":%s}|} text)) in
    check "64 bits" (u64 "18446744073709551615" = Ok (-1L) && u64 "-9223372036854775808" = Ok Int64.min_int);
    refused "one bit more" (u64 "18446744073709551616") "u64: 18446744073709551616 is not from 0 to 18446744073709551615";
    refused "two arms" (Everything.of_json {|{"u":0,"type.9pfs":{},"type.none":{}}|})
      {|"type.9pfs" and "type.none" are two keys of one union; libxl aborts on that|};
    refused "a name" (Everything.of_json {|{"kinds":["none","9psf"]}|}) {|kinds[1]: "9psf" is no kind; did you mean "9pfs"?|};
    check "a bitmap is in order" ((Lossless.Bitmap.of_list [ 3; 1; 3; -1 ] :> int list) = [ 1; 3 ]);
    check "another of 4.5's" (Option.is_some (find "everything") && Option.is_none (find "libxl_everything"));
    match Shown.to_json { func = 7 } with
    | Ok text -> check "laid out as yajl does" (text = "{\n    \"func\": 7\n}\n" && plain text = {|{"func": 7}|})
    | Error error -> check (Json.error_to_string error) false
end

let () =
  Contract_types.run ();
  Libxl_types.run ();
  if !failures > 0 then exit 1;
  print_endline "ocaml: ok"
