"""Names that can be a function in C++, a module in Verilog, an entity in VHDL and a word in Tcl at the same time."""

from __future__ import annotations

import re

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# C++20 (ISO/IEC 14882:2020, 5.11) with its alternative tokens, and names no design can redefine.
_CPP = """
alignas alignof and and_eq asm auto bitand bitor bool break case catch char char8_t char16_t char32_t class co_await
co_return co_yield compl concept const const_cast consteval constexpr constinit continue decltype default delete do
double dynamic_cast else enum explicit export extern false float for friend goto if inline int long mutable namespace
new noexcept not not_eq nullptr operator or or_eq private protected public register reinterpret_cast requires return
short signed sizeof static static_assert static_cast struct switch template this thread_local throw true try typedef
typeid typename union unsigned using virtual void volatile wchar_t while xor xor_eq main std
"""

# SystemVerilog (IEEE 1800-2017, Annex B); Verilog's keywords are among them.
_VERILOG = """
accept_on alias always always_comb always_ff always_latch and assert assign assume automatic before begin bind bins
binsof bit break buf bufif0 bufif1 byte case casex casez cell chandle checker class clocking cmos config const
constraint context continue cover covergroup coverpoint cross deassign default defparam design disable dist do edge
else end endcase endchecker endclass endclocking endconfig endfunction endgenerate endgroup endinterface endmodule
endpackage endprimitive endprogram endproperty endspecify endsequence endtable endtask enum event eventually expect
export extends extern final first_match for force foreach forever fork forkjoin function generate genvar global
highz0 highz1 if iff ifnone ignore_bins illegal_bins implements implies import incdir include initial inout input
inside instance int integer interconnect interface intersect join join_any join_none large let liblist library local
localparam logic longint macromodule matches medium modport module nand negedge nettype new nexttime nmos nor
noshowcancelled not notif0 notif1 null or output package packed parameter pmos posedge primitive priority program
property protected pull0 pull1 pulldown pullup pulsestyle_ondetect pulsestyle_onevent pure rand randc randcase
randsequence rcmos real realtime ref reg reject_on release repeat restrict return rnmos rpmos rtran rtranif0 rtranif1
s_always s_eventually s_nexttime s_until s_until_with scalared sequence shortint shortreal showcancelled signed small
soft solve specify specparam static string strong strong0 strong1 struct super supply0 supply1 sync_accept_on
sync_reject_on table tagged task this throughout time timeprecision timeunit tran tranif0 tranif1 tri tri0 tri1
triand trior trireg type typedef union unique unique0 unsigned until until_with untyped use uwire var vectored
virtual void wait wait_order wand weak weak0 weak1 while wildcard wire with within wor xnor xor
"""

# VHDL-2008 (IEEE 1076-2008, 15.10), case-insensitive.
_VHDL = """
abs access after alias all and architecture array assert assume assume_guarantee attribute begin block body buffer bus
case component configuration constant context cover default disconnect downto else elsif end entity exit fairness file
for force function generate generic group guarded if impure in inertial inout is label library linkage literal loop
map mod nand new next nor not null of on open or others out package parameter port postponed procedure process
property protected pure range record register reject release rem report restrict restrict_guarantee return rol ror
select sequence severity shared signal sla sll sra srl strong subtype then to transport type unaffected units until
use variable vmode vprop vunit wait when while with xnor xor work
"""

# Tcl's commands that the tools' scripts use.
_TCL = """
after append apply array bgerror binary break catch cd chan clock close concat continue coroutine dict encoding eof
error eval exec exit expr fblocked fconfigure fcopy file fileevent flush for foreach format gets glob global history
if incr info interp join lappend lassign lindex linsert list llength load lmap load lrange lrepeat lreplace lreverse
lsearch lset lsort namespace open package pid proc puts pwd read refchan regexp regsub rename return scan seek set
socket source split string subst switch tailcall tell throw time trace try unload unset update uplevel upvar variable
vwait while yield yieldto zlib
"""

_LANGUAGES = (
    ("C++", frozenset(_CPP.split())),
    ("Verilog", frozenset(_VERILOG.split())),
    ("VHDL", frozenset(_VHDL.split())),
    ("Tcl", frozenset(_TCL.split())),
)


def check_identifier(name: str) -> None:
    """Raise `ValueError` with a sentence when `name` cannot name a function, module and project everywhere."""
    if not _IDENTIFIER.fullmatch(name):
        raise ValueError(
            f'"{name}" is no C identifier; write letters, digits and underscores, '
            f"beginning with a letter, such as {_repaired(name)}"
        )
    for language, keywords in _LANGUAGES:
        if name in keywords or (language == "VHDL" and name.lower() in keywords):
            raise ValueError(f'"{name}" is a keyword of {language}; write another name, such as {name}_net')


def _repaired(name: str) -> str:
    words = "_".join(re.findall(r"[A-Za-z0-9]+", name))
    return words if words and words[0].isalpha() else f"net_{words}".rstrip("_")
