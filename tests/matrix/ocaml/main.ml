(* The harness of the matrix: each line [UNIT TYPE JSON] of stdin is answered by [ok JSON] (read into the typed value,
   written again) or [no MESSAGE]. The packages are what `build` calls [Contract_unit] and [Libxl_unit]. *)

(* libxl's layout has line ends, all of them between tokens. *)
let one_line text = String.concat "" (String.split_on_char '\n' text)

let answer line =
  match String.split_on_char ' ' line with
  | kind :: name :: json -> (
      let json = String.concat " " json in
      let recoded =
        match kind with
        | "contract" ->
            let error_to_string = Contract_unit.Json.error_to_string in
            let recode any = Result.map_error error_to_string (Contract_unit.Codec.recode any json) in
            Option.map recode (Contract_unit.find name)
        | "libxl" ->
            let error_to_string = Libxl_unit.Json.error_to_string in
            let recode any = Result.map_error error_to_string (Libxl_unit.Codec.recode any json) in
            Option.map recode (Libxl_unit.find name)
        | _ -> None
      in
      match recoded with
      | Some (Ok text) -> "ok " ^ one_line text
      | Some (Error why) -> "no " ^ String.concat " " (String.split_on_char '\n' why)
      | None -> "no unknown type")
  | _ -> failwith ("not UNIT TYPE JSON: " ^ line)

let () =
  try
    while true do
      print_endline (answer (input_line stdin))
    done
  with End_of_file -> ()
