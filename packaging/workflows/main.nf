// Fits every session in raw/ and writes a copy with the fit into fitted/, one job a file. In the folder above them:
//   nextflow run main.nf
params.raw = 'raw/*.nwb'
params.fitted = 'fitted'

process FIT {
    cpus 1
    publishDir params.fitted, mode: 'copy'

    input:
    path session

    output:
    path "fitted/${session}"

    script:
    """
    mkdir fitted
    nwb-dcf fit '${session}' --dim 3 --seed 1 --quiet -o 'fitted/${session}'
    """
}

workflow {
    FIT(Channel.fromPath(params.raw))
}
