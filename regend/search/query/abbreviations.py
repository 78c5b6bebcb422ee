"""Short forms that programmers write in names and seldom in questions, by the word they stand for.

Only such as have one common reading in code. They make ``args.go`` answer "positional arguments", and the other way
round.
"""

from __future__ import annotations

_FORMS = """
addr: address
alloc: allocate
arg args: argument
attr attrs: attribute
auth: authentication
buf: buffer
cfg conf config configs: configuration
char chars: character
cmd cmds: command
col cols: column
conn: connection
ctx: context
db: database
decl decls: declaration
def defs: definition
desc: description
dest dst: destination
diff: difference
dir dirs: directory
doc docs: documentation
elem: element
env: environment
err errs: error
eval: evaluate
exec: execute
expr exprs: expression
ext: extension
fmt: format
fn func funcs: function
gen: generate
hdr: header
id ids: identifier
idx: index
impl: implementation
info: information
init: initialize
int: integer
iter: iterator
len: length
lib libs: library
max: maximum
mem: memory
mgr: manager
min: minimum
msg msgs: message
num: number
obj: object
op ops: operator
opt opts: option
param params: parameter
pkg pkgs: package
prev: previous
proc: process
prop props: property
ptr: pointer
recv: receive
ref refs: reference
regexp: regex
repo: repository
req: request
resp: response
ret: return
seq: sequence
sess: session
sig: signature
sock: socket
spec: specification
src: source
stats: statistics
stmt: statement
str: string
sym syms: symbol
sync: synchronize
temp tmp: temporary
tok: token
tx txn: transaction
util utils helper helpers: utility
val vals: value
var vars: variable
vec: vector
ver: version
"""

WORD_OF = {
    short: word
    for line in _FORMS.strip().splitlines()
    for shorts, word in [line.split(": ")]
    for short in shorts.split()
}
"""The whole word by its short form, both in lower case."""
