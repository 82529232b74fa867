let mask = 0xffffffff
let add a b = (a + b) land mask
let rotate x n = ((x lsr n) lor (x lsl (32 - n))) land mask

(* The first 32 bits of the fractional parts of the square and cube roots of the first primes. *)
let primes =
  let rec go found n =
    if List.length found = 64 then List.rev found
    else if List.exists (fun p -> n mod p = 0) found then go found (n + 1)
    else go (n :: found) (n + 1)
  in
  go [] 2

(* The largest root whose power is at most n * 2^(32 * power), found bit by bit; its low 32 bits are the fraction's. The
   product needs more than 63 bits: it is compared in pieces of 24. *)
let fraction power n =
  let limbs x = [| x land 0xffffff; (x lsr 24) land 0xffffff; x lsr 48; 0; 0; 0 |] in
  let multiply a b =
    let out = Array.make 12 0 in
    Array.iteri (fun i x -> Array.iteri (fun j y -> if i + j < 12 then out.(i + j) <- out.(i + j) + (x * y)) b) a;
    let carry = ref 0 in
    Array.map (fun x -> let x = x + !carry in carry := x lsr 24; x land 0xffffff) out
  in
  let rec raise_to p x = if p = 1 then x else multiply (raise_to (p - 1) x) x in
  let target =
    let two_32 = limbs (1 lsl 32) in
    multiply (raise_to power two_32) (limbs n)
  in
  let pad a = Array.append a (Array.make (12 - Array.length a) 0) in
  let at_most a b =
    let rec go i = i < 0 || a.(i) < b.(i) || (a.(i) = b.(i) && go (i - 1)) in
    go 11
  in
  let root = ref 0 in
  for bit = 37 downto 0 do
    let candidate = !root lor (1 lsl bit) in
    if at_most (pad (raise_to power (limbs candidate))) (pad target) then root := candidate
  done;
  !root land mask

let start = lazy (List.filteri (fun i _ -> i < 8) primes |> List.map (fraction 2) |> Array.of_list)
let constants = lazy (Array.of_list (List.map (fraction 3) primes))

let block state message at =
  let k = Lazy.force constants in
  let w = Array.make 64 0 in
  for i = 0 to 15 do
    w.(i) <- Int32.to_int (Bytes.get_int32_be message (at + (4 * i))) land mask
  done;
  for i = 16 to 63 do
    let s0 = rotate w.(i - 15) 7 lxor rotate w.(i - 15) 18 lxor (w.(i - 15) lsr 3) in
    let s1 = rotate w.(i - 2) 17 lxor rotate w.(i - 2) 19 lxor (w.(i - 2) lsr 10) in
    w.(i) <- (w.(i - 16) + s0 + w.(i - 7) + s1) land mask
  done;
  let v = Array.copy state in
  for i = 0 to 63 do
    let s1 = rotate v.(4) 6 lxor rotate v.(4) 11 lxor rotate v.(4) 25 in
    let choice = v.(4) land v.(5) lxor (lnot v.(4) land mask land v.(6)) in
    let t1 = (v.(7) + s1 + choice + k.(i) + w.(i)) land mask in
    let s0 = rotate v.(0) 2 lxor rotate v.(0) 13 lxor rotate v.(0) 22 in
    let majority = v.(0) land v.(1) lxor (v.(0) land v.(2)) lxor (v.(1) land v.(2)) in
    Array.blit v 0 v 1 7;
    v.(4) <- add v.(4) t1;
    v.(0) <- add t1 (add s0 majority)
  done;
  Array.iteri (fun i x -> state.(i) <- add state.(i) x) v

let hex text =
  let length = String.length text in
  let message = Bytes.make ((length + 8) / 64 * 64 + 64) '\x00' in
  Bytes.blit_string text 0 message 0 length;
  Bytes.set message length '\x80';
  Bytes.set_int64_be message (Bytes.length message - 8) (Int64.of_int (8 * length));
  let state = Array.copy (Lazy.force start) in
  for i = 0 to (Bytes.length message / 64) - 1 do
    block state message (64 * i)
  done;
  String.concat "" (List.map (Printf.sprintf "%08x") (Array.to_list state))
