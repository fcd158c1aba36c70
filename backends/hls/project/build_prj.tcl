# C simulation, C synthesis, co-simulation, logic synthesis and export of the design, in any selection:
#
#   vivado_hls -f build_prj.tcl "csim=1 synth=1 cosim=0 vsynth=0 export=0 reset=0"
#   vitis_hls  -f build_prj.tcl "csim=1 synth=1 cosim=0 vsynth=0 export=0 reset=0"
#
# Ends with exit code 1 at the first error of any step.

set folder [file normalize [file dirname [info script]]]
source [file join $folder project.tcl]
source [file join $folder settings.tcl]

array set wanted {reset 0 csim 1 synth 1 cosim 0 vsynth 0 export 0}

proc read_options {words} {
    global wanted
    # The tool passes on its own arguments too; ours are name=value, several of them in one word perhaps.
    foreach part [split [join $words " "]] {
        if {![regexp {^(\w+)=(.*)$} $part all name value]} {
            continue
        }
        if {![info exists wanted($name)]} {
            error "there is no option $name; there are [lsort [array names wanted]]"
        }
        if {$value ne "0" && $value ne "1"} {
            error "option $name is $value; it is 0 or 1"
        }
        set wanted($name) $value
    }
}

proc step {name script} {
    puts "***** $name *****"
    set start [clock seconds]
    uplevel 1 $script
    puts "***** $name: [expr {[clock seconds] - $start}] s *****"
}

proc build {} {
    global folder wanted project_name part clock_period clock_uncertainty
    read_options $::argv
    cd $folder
    if {$wanted(reset)} {
        open_project -reset ${project_name}_prj
    } else {
        open_project ${project_name}_prj
    }
    set_top $project_name
    add_files firmware/${project_name}.cpp -cflags "-std=c++0x"
    add_files -tb tb/${project_name}_test.cpp -cflags "-std=c++0x"
    if {$wanted(reset)} {
        open_kbuild_solution -reset
    } else {
        open_kbuild_solution
    }
    set_part $part
    create_clock -period $clock_period -name default
    set_clock_uncertainty [expr {$clock_period * $clock_uncertainty}] default
    configure_kbuild_solution
    if {$wanted(csim)} {
        step "C simulation" { csim_design -argv "$folder/tb" }
    }
    if {$wanted(synth)} {
        step "C synthesis" { csynth_design }
    }
    if {$wanted(cosim)} {
        step "C/RTL co-simulation" { cosim_design -rtl verilog -argv "$folder/tb" }
    }
    if {$wanted(export)} {
        step "Export" { export_design -format ip_catalog -version 1.0.0 }
    }
    if {$wanted(vsynth)} {
        step "Logic synthesis" { exec vivado -mode batch -nojournal -source vivado_synth.tcl >@ stdout 2>@ stderr }
    }
}

if {[catch build message]} {
    puts stderr "ERROR: $message"
    exit 1
}
exit 0
