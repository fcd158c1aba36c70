# What is particular to Vivado HLS.

proc open_kbuild_solution {args} {
    eval open_solution $args solution1
}

proc configure_kbuild_solution {} {
    config_array_partition -maximum_size 4096
    config_compile -name_max_length 80
    config_schedule -enable_dsp_full_reg=false
}
