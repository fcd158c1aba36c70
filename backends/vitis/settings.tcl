# What is particular to Vitis HLS.

proc open_kbuild_solution {args} {
    eval open_solution $args -flow_target vivado solution1
}

proc configure_kbuild_solution {} {
    config_compile -name_max_length 80
    config_schedule -enable_dsp_full_reg=false
}
