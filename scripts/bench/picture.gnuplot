# Bars from 1, the peer, to how many times as fast khd is; a line where it shall be.
set terminal svg size 1100,520 font "sans-serif,13" background "white"
set title "khd against what people use: how many times as fast"
set logscale x
set xrange [0.5:40]
set xtics ("½" 0.5, "1, as fast" 1, "2" 2, "4" 4, "10" 10, "20" 20)
set yrange [-0.6:*]
set grid xtics
set lmargin 62
set key bottom right
set style fill solid 0.8 noborder
plot data using 2:0:(1):2:($0 - 0.3):($0 + 0.3):yticlabels(1) with boxxyerror linecolor "#2f6f9f" title "khd", \
     data using 3:0:(0):(0.42) with vectors nohead linewidth 3 linecolor "#c0392b" notitle, \
     data using 3:0:(0):(-0.42) with vectors nohead linewidth 3 linecolor "#c0392b" title "asked for", \
     data using 2:0:(sprintf(" %.1f×", $2)) with labels left notitle
