# Logic synthesis, out of context, of the RTL that C synthesis made: vivado -mode batch -source vivado_synth.tcl
# Writes vivado_synth.rpt (utilisation) and vivado_timing.rpt. Ends with exit code 1 at the first error.

set folder [file normalize [file dirname [info script]]]
source [file join $folder project.tcl]

proc synthesize {} {
    global folder project_name part clock_period
    set rtl [file join $folder ${project_name}_prj solution1 syn vhdl]
    set files [glob -nocomplain -directory $rtl *.vhd]
    if {$files eq {}} {
        error "there is no RTL in $rtl; run build_prj.tcl with synth=1 first"
    }
    read_vhdl $files
    synth_design -top $project_name -part $part -mode out_of_context
    create_clock -name ap_clk -period $clock_period [get_ports ap_clk]
    opt_design -retarget -propconst -sweep -bram_power_opt -shift_register_opt
    report_utilization -file [file join $folder vivado_synth.rpt]
    report_timing_summary -file [file join $folder vivado_timing.rpt]
}

if {[catch synthesize message]} {
    puts stderr "ERROR: $message"
    exit 1
}
exit 0
