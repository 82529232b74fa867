type 'a t = { read : Json.t -> 'a; write : Json.writer -> 'a -> unit }
type any = { name : string; recode : string -> (string, Json.error) result }

let name any = any.name
let recode any text = any.recode text
let any name of_json to_json = { name; recode = (fun text -> Result.bind (of_json text) to_json) }
