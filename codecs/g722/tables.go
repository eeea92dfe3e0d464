package g722

// decisionLow holds the decision levels of the 6-bit quantizer (Q6, table 14).
var decisionLow = [30]int32{
	0, 35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650,
	714, 786, 858, 940, 1023, 1121, 1219, 1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919,
}

// levelLow6 holds the output of the inverse 6-bit quantizer (QM6, table 19).
var levelLow6 = [64]int32{
	-136, -136, -136, -136, -24808, -21904, -19008, -16704,
	-14984, -13512, -12280, -11192, -10232, -9360, -8576, -7856,
	-7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576,
	-3168, -2776, -2400, -2032, -1688, -1360, -1040, -728,
	24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192,
	10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456,
	4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032,
	1688, 1360, 1040, 728, 432, 136, -432, -136,
}

// levelLow4 holds the output of the inverse 4-bit quantizer (QM4), which
// adaptation follows.
var levelLow4 = [16]int32{
	0, -20456, -12896, -8968, -6288, -4240, -2584, -1200,
	20456, 12896, 8968, 6288, 4240, 2584, 1200, 0,
}

// stepLow holds the change of the logarithmic scale factor by 4-bit code (WL
// through RL42).
var stepLow = [16]int32{
	-60, 3042, 1198, 538, 334, 172, 58, -30,
	3042, 1198, 538, 334, 172, 58, -30, -60,
}

// levelHigh and stepHigh are the same for the 2-bit quantizer (QM2; WH through
// RH2).
var (
	levelHigh = [4]int32{-7408, -1616, 7408, 1616}
	stepHigh  = [4]int32{798, -214, 798, -214}
)

// fractions holds 2048 times 2 to the power of i/32 (ILA, table 15).
var fractions = [32]int32{
	2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834,
	2896, 2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
}
