// Streams tb/tb_input_features.dat through the design, one sample a cycle, and compares with
// tb/tb_output_predictions.dat, exactly. Both hold one sample a line, every value as the integer behind it.
// A difference, a missing output or a malformed file ends the simulation with an error.
`timescale 1ns / 1ps
`default_nettype none

module testbench;
    reg clk = 1'b0;
    reg rst = 1'b1;
    reg in_valid = 1'b0;
    wire out_valid;
    @PORTS@

    @NAME@ dut (
        .clk(clk),
        .rst(rst),
        .in_valid(in_valid),
        .out_valid(out_valid),
        @CONNECTIONS@
    );

    always #2.5 clk = ~clk;

    integer features, predictions, got, i;
    integer sent = 0, received = 0, wrong = 0, idle = 0;
    reg more = 1'b1;
    reg signed [63:0] value;

    // The next input value; at the end of the file, at the beginning of a sample, there is no more.
    task next_input;
        if (more) begin
            got = $fscanf(features, "%d", value);
            if (got != 1) begin
                if (in_valid) $fatal(1, "ERROR: the inputs of sample %0d are incomplete", sent);
                more = 1'b0;
            end
            in_valid = more;
        end
    endtask

    task next_output;
        begin
            got = $fscanf(predictions, "%d", value);
            if (got != 1) $fatal(1, "ERROR: there are no expected outputs for sample %0d", received);
        end
    endtask

    task compare(input [8*64-1:0] port, input equal);
        if (!equal) begin
            if (wrong < 10) $display("sample %0d: element %0d of %0s is not %0d", received, i, port, value);
            wrong = wrong + 1;
        end
    endtask

    task send;
        begin
        in_valid = 1'b0;
        @READ@
        end
    endtask

    task receive;
        begin
        @COMPARE@
        end
    endtask

    initial begin
        features = $fopen("tb/tb_input_features.dat", "r");
        predictions = $fopen("tb/tb_output_predictions.dat", "r");
        if (features == 0 || predictions == 0) $fatal(1, "ERROR: the test vectors in tb/ cannot be read");
        repeat (2) @(negedge clk);
        rst = 1'b0;
        while (more || received < sent) begin
            if (out_valid) begin
                receive;
                received = received + 1;
            end
            if (more) begin
                send;
                if (more) sent = sent + 1;
            end else begin
                in_valid = 1'b0;
                idle = idle + 1;
                if (idle > @LATENCY@ + 4) $fatal(1, "ERROR: %0d outputs came for %0d inputs", received, sent);
            end
            @(negedge clk);
        end
        got = $fscanf(predictions, "%d", value);
        if (got == 1 || sent == 0) $fatal(1, "ERROR: %0d input samples, and not as many outputs", sent);
        $display("%0d samples, %0d wrong values", received, wrong);
        if (wrong != 0) $fatal(1, "ERROR: the outputs differ");
        $finish;
    end
endmodule

`default_nettype wire
